import { priceOf } from "@mythic/llm/prices";
import { findRecipe } from "@mythic/recipes";
import { type Book, chaptersToProcess, planRun, queuedRun, type Run, type Store } from "@mythic/runs";
import type { z } from "zod";
import { type estimateSchema, methodOf } from "./wire/run.ts";

type Estimate = z.infer<typeof estimateSchema>;

export interface EstimateRequest {
  readonly book: Book;
  readonly recipes: readonly string[];
  /** Null for the offline methods, which cost nothing. */
  readonly model: string | null;
}

/** What a run of a book that is ready would take. Low: everything goes as usual; high: every answer is long and repaired once. */
export async function estimateRun(
  books: Store["books"],
  { book, recipes, model }: EstimateRequest,
): Promise<Estimate> {
  const outlines = await books.outlines(book.user, book.id);
  const lengths = new Map(outlines.map((outline) => [String(outline.index), outline.length]));
  // Counted as a run counts them: the step that closes it makes nothing.
  const plan = planRun(imaginedRun(book, recipes, model), outlines).filter((step) => step.kind !== "finish");
  const tokens = { calls: 0, input: 0, output: 0, mostInput: 0, mostOutput: 0 };
  for (const step of model === null ? [] : plan) {
    const recipe = step.recipe === null ? null : findRecipe(step.recipe);
    if (!recipe) continue;
    const forecast =
      step.kind === "chapter"
        ? recipe.forecastChapter(lengths.get(step.unit) ?? 0)
        : recipe.forecastMerge(step.inputs.length);
    tokens.calls += forecast.calls;
    tokens.input += forecast.inputTokens;
    tokens.output += forecast.outputTokens;
    tokens.mostInput += forecast.maxInputTokens;
    tokens.mostOutput += forecast.maxOutputTokens;
  }
  return {
    chapters: chaptersToProcess(outlines).length,
    steps: plan.length,
    calls: tokens.calls,
    estimated_input_tokens: { low: tokens.input, high: tokens.mostInput },
    estimated_output_tokens: { low: tokens.output, high: tokens.mostOutput },
    cost: costRange(model, tokens),
    method: methodOf({ model }),
    model,
  };
}

interface TokenRange {
  readonly input: number;
  readonly output: number;
  readonly mostInput: number;
  readonly mostOutput: number;
}

/** Single requests stay far below the length from which a model is dearer, so the price is the same for each token. */
function costRange(model: string | null, tokens: TokenRange): Estimate["cost"] {
  if (model === null) return { low: 0, high: 0 };
  const price = priceOf(model);
  if (!price) return null;
  const costOf = (input: number, output: number) => Math.ceil(input * price.input + output * price.output);
  return {
    low: costOf(tokens.input, tokens.output),
    high: costOf(tokens.mostInput, tokens.mostOutput),
  };
}

/** The run that nobody has asked for yet: its plan depends on its book and its recipes alone. */
function imaginedRun(book: Book, recipes: readonly string[], model: string | null): Run {
  const options = { maxCost: null, fresh: false };
  return queuedRun(book.user, { id: "run_imagined", bookId: book.id, recipes, options, model });
}
