import { describe, expect, test } from "@jest/globals";
import { findRecipe } from "../../src/index.ts";
import type { ChapterText } from "../../src/recipe.ts";
import type { ChapterPassages, MergedPassages } from "../../src/summary/values.ts";
import { BOOK, chapterOf, prose } from "../scripted-ask.ts";

async function passagesOf(chapter: ChapterText, language: string | null = "en"): Promise<ChapterPassages> {
  return (await findRecipe("summary")?.chapter({
    book: { ...BOOK, language },
    chapter,
    ask: null,
  })) as ChapterPassages;
}

async function merge(values: readonly unknown[], whole = false): Promise<MergedPassages> {
  const children = values.map((value, index) => ({ title: `Chapter ${index + 1}`, value }));
  return (await findRecipe("summary")?.merge({
    book: BOOK,
    title: "all",
    whole,
    children,
    ask: null,
  })) as MergedPassages;
}

const LONG = Array.from({ length: 120 }, (_, index) => prose(2, index * 7)).join("\n\n");

describe("key passages of a chapter", () => {
  test("are whole sentences of it, verbatim, in reading order", async () => {
    const value = await passagesOf(chapterOf(LONG));
    expect(value).toMatchObject({ kind: "chapter", method: "offline", note: null });
    expect(value.passages.length).toBeGreaterThan(3);
    const starts = value.passages.map(({ evidence }) => evidence.start);
    expect(starts).toEqual(starts.toSorted((one, other) => one - other));
    for (const { evidence } of value.passages) {
      expect(LONG.slice(evidence.start, evidence.end)).toBe(evidence.quote);
      expect(evidence.quote).toMatch(/^On day .*stage\.$/);
    }
  });

  test("come from every section, its end included", async () => {
    const { passages } = await passagesOf(chapterOf(LONG));
    const sections = passages.map(({ evidence }) =>
      Math.floor((evidence.start * passages.length) / LONG.length),
    );
    expect(sections).toEqual(passages.map((_, index) => index));
  });

  test("prefer what the text keeps coming back to", async () => {
    const filler = Array.from(
      { length: 12 },
      (_, index) => `Meanwhile something called item${index} lay about in box${index} of shelf${index}.`,
    );
    const topic = "The lighthouse keeper repaired the broken lantern of the lighthouse before the storm.";
    const text = [
      ...filler.slice(0, 6),
      "The lighthouse keeper feared the storm.",
      topic,
      "No storm broke the lantern.",
      ...filler.slice(6),
    ].join(" ");
    const { passages } = await passagesOf(chapterOf(text));
    expect(passages.map(({ evidence }) => evidence.quote)).toEqual([topic]);
  });

  test("are short enough to be looked at in a text without sentence ends", async () => {
    const endless = "dharma kshetre kuru kshetre samaveta yuyutsavah ".repeat(2_000).trim();
    const { passages } = await passagesOf(chapterOf(endless), "sa");
    expect(passages.length).toBeGreaterThan(3);
    for (const { evidence } of passages) {
      expect(evidence.quote.length).toBeLessThanOrEqual(600);
      expect(endless.slice(evidence.start, evidence.end)).toBe(evidence.quote);
    }
  });

  test("are the same every time", async () => {
    expect(await passagesOf(chapterOf(LONG))).toEqual(await passagesOf(chapterOf(LONG)));
  });

  test("are found in Chinese and Japanese", async () => {
    const chinese =
      "清晨的时候渡船离开了河岸，没有人挥手告别。冬天河水结冰了，船夫的女儿独自走过冰面。春天来了，全村人一起修建了一座木桥。".repeat(
        20,
      );
    const { passages } = await passagesOf(chapterOf(chinese), "zh");
    expect(passages.length).toBeGreaterThan(0);
    expect(
      passages.every(({ evidence }) => evidence.quote.endsWith("。") && chinese.includes(evidence.quote)),
    ).toBe(true);
    const japanese = await passagesOf(chapterOf("夜明けに渡し船が静かに岸を離れて行った。"), "ja");
    expect(japanese.passages).toHaveLength(1);
  });

  test("are there for a text of nothing but short lines, and not for an empty one", async () => {
    expect((await passagesOf(chapterOf("Rain.\n\nMore rain.\n\nSun."))).passages).toHaveLength(1);
    expect(await passagesOf(chapterOf(" \n\n* * *"))).toEqual({
      kind: "chapter",
      method: "offline",
      passages: [],
      note: "There is no text to work on.",
    });
  });
});

describe("key passages of several chapters", () => {
  test("hold some of every chapter and are chosen from theirs", async () => {
    const values = await Promise.all(
      ["c1", "c2", "c3"].map((id, index) => passagesOf(chapterOf(LONG.slice(index * 900), { id }))),
    );
    const value = await merge(values);
    expect(value.passages.length).toBeLessThanOrEqual(12);
    expect(value.coverage).toEqual({ chapters: 3, represented: 3 });
    const offered = values.flatMap(({ passages }) => passages);
    for (const passage of value.passages) {
      expect(offered).toContainEqual(passage);
    }
    const counts = ["c1", "c2", "c3"].map(
      (id) => value.passages.filter(({ evidence }) => evidence.chapterId === id).length,
    );
    expect(Math.min(...counts)).toBe(4);
  });

  test("are spread evenly where there are more chapters than places", async () => {
    const values = await Promise.all(
      Array.from({ length: 48 }, (_, index) =>
        passagesOf(chapterOf(prose(5, index * 9), { id: `c${index}` })),
      ),
    );
    const value = await merge(values);
    expect(value.passages.map(({ evidence }) => evidence.chapterId)).toEqual(
      Array.from({ length: 12 }, (_, index) => `c${index * 4}`),
    );
    expect((await merge(values, true)).passages).toHaveLength(20);
  });

  test("of a single child are that child's, and of empty ones none", async () => {
    const only = await passagesOf(chapterOf(LONG));
    expect(await merge([only], true)).toEqual({
      kind: "merge",
      method: "offline",
      passages: only.passages,
      coverage: { chapters: 1, represented: 1 },
      note: null,
    });
    const empty = await passagesOf(chapterOf(""));
    expect(await merge([empty, empty])).toMatchObject({ passages: [], note: "There is no text to work on." });
  });

  test("refuse a value of the model's method", async () => {
    const value = {
      kind: "chapter",
      method: "model",
      paragraph: "P.",
      keyPoints: [],
      droppedPoints: 0,
      parts: 1,
      note: null,
    };
    await expect(merge([value])).rejects.toMatchObject({ code: "unknown_value", retryable: false });
  });
});
