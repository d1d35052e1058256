import { describe, expect, test } from "@jest/globals";
import { findRecipe, SUMMARY_LIMITS } from "../../src/index.ts";
import type { ChapterTask, Forecast, Question, Recipe } from "../../src/recipe.ts";
import { answeringAsk, BOOK, chapterOf, prose } from "../scripted-ask.ts";

const recipe = findRecipe("summary") as Recipe;

/** What was really asked, in the forecast's measure: 4 characters a token. */
async function measure(
  task: Omit<ChapterTask, "ask" | "book">,
  answer: (question: Question<unknown>) => unknown,
) {
  const { ask, questions } = answeringAsk(answer);
  await recipe.chapter({ ...task, book: BOOK, ask }).catch(() => null);
  const characters = questions.reduce(
    (sum, { instructions, input }) => sum + instructions.length + input.length,
    0,
  );
  return {
    calls: questions.length,
    characters,
    maxOutputTokens: questions.reduce((sum, { maxOutputTokens }) => sum + maxOutputTokens, 0),
  };
}

const good = ({ prompt, input }: Question<unknown>): unknown => {
  const quote = /<book-text>\n([^.]+\.)/.exec(input)?.[1] ?? "";
  const firstIds = [...input.matchAll(/^(\d+\.1) /gm)].map(([, id]) => id);
  const points = prompt.startsWith("summary.chapter") ? [{ statement: "Herons.", quote }] : firstIds;
  return { paragraph: "Herons are counted. ".repeat(40), keyPoints: points };
};

/** Every answer needs its repair question. */
const sloppy = (question: Question<unknown>): unknown => ({
  ...(good(question) as object),
  paragraph: "P. ".repeat(1_000),
});

describe("a forecast", () => {
  test.each([1, 3, 8])(
    "for a chapter of about %i parts names the calls and comes near the input",
    async (parts) => {
      const text = prose(Math.floor((parts * SUMMARY_LIMITS.partLength * 0.9) / 73));
      const forecast = recipe.forecastChapter(text.length);
      const actual = await measure({ chapter: chapterOf(text) }, good);
      expect(forecast.calls).toBe(actual.calls);
      expect(forecast.inputTokens).toBeGreaterThan((actual.characters / 4) * 0.75);
      expect(forecast.inputTokens).toBeLessThan((actual.characters / 4) * 1.35);
    },
  );

  test.each([1, 3, 14])("is never exceeded, with a repair for each of %i parts", async (parts) => {
    const text = prose(Math.floor((parts * SUMMARY_LIMITS.partLength * 0.9) / 73));
    const forecast = recipe.forecastChapter(text.length);
    const actual = await measure({ chapter: chapterOf(text) }, sloppy);
    expect(actual.calls).toBeGreaterThan(forecast.calls);
    expect(forecast.maxOutputTokens).toBeGreaterThanOrEqual(actual.maxOutputTokens);
    expect(forecast.maxInputTokens).toBeGreaterThanOrEqual(actual.characters);
  });

  test("is nothing where nothing is asked", () => {
    const nothing: Forecast = {
      calls: 0,
      inputTokens: 0,
      outputTokens: 0,
      maxInputTokens: 0,
      maxOutputTokens: 0,
    };
    expect(recipe.forecastChapter(0)).toEqual(nothing);
    expect(recipe.forecastMerge(0)).toEqual(nothing);
    expect(recipe.forecastMerge(1)).toEqual(nothing);
  });

  test("of a merge counts one call up to the fan-in, and the levels above it", () => {
    expect([2, 12, 13, 40, 144].map((children) => recipe.forecastMerge(children).calls)).toEqual([
      1, 1, 3, 5, 13,
    ]);
    const { inputTokens, maxInputTokens, outputTokens, maxOutputTokens } = recipe.forecastMerge(12);
    expect(maxInputTokens).toBeGreaterThan(inputTokens * 2);
    expect(maxOutputTokens).toBe(2 * SUMMARY_LIMITS.whole.maxOutputTokens);
    expect(outputTokens).toBeLessThan(maxOutputTokens);
  });
});
