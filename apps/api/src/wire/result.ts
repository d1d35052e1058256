import type { BookView, ResultView, RunView } from "@mythic/runs/cache";
import { z } from "zod";
import { methodOf, methodSchema, runSchema } from "./run.ts";

const recipeResultSchema = z
  .object({
    whole: z.unknown().meta({ description: "What was made of the whole book; null while there is nothing." }),
    chapters: z.array(
      z.object({
        id: z.string(),
        index: z.int(),
        title: z.string(),
        path: z.array(z.string()),
        state: z.enum(["pending", "running", "done", "failed", "cancelled", "dead"]),
        value: z
          .unknown()
          .meta({ description: "What was made of the chapter; null while there is nothing." }),
      }),
    ),
    next: z.string().nullable().meta({ description: "Pass it as `after` for the next page." }),
    coverage: z
      .object({
        chapters: z.int(),
        chapters_with_evidence: z.int(),
        quotations_by_tenth: z.array(z.int()),
      })
      .nullable()
      .meta({ description: "How the result covers the book; null until the run has ended." }),
  })
  .meta({ id: "RecipeResult" });

export const resultSchema = z
  .object({
    run_id: z.string(),
    status: runSchema.shape.status,
    complete: z.boolean().meta({ description: "True when nothing is missing." }),
    method: methodSchema,
    book: z.object({
      title: z.string().nullable(),
      authors: z.array(z.string()),
      language: z.string().nullable(),
    }),
    recipes: z.record(z.string(), recipeResultSchema),
  })
  .meta({ id: "Result" });

/** The facts of a book that results show; nothing of a book that was deleted. */
export function bookFacts(book: BookView | null): z.infer<typeof resultSchema>["book"] {
  return {
    title: book?.title ?? null,
    authors: [...(book?.authors ?? [])],
    language: book?.language ?? null,
  };
}

export function wireResult(
  run: RunView,
  book: BookView | null,
  results: readonly ResultView[],
): z.infer<typeof resultSchema> {
  const recipes = results.map((result) => [result.recipe, wireRecipe(result)] as const);
  return {
    run_id: run.id,
    status: run.status,
    complete: run.status === "succeeded",
    method: methodOf(run),
    book: bookFacts(book),
    recipes: Object.fromEntries(recipes),
  };
}

function wireRecipe({ whole, chapters, next, coverage }: ResultView): z.infer<typeof recipeResultSchema> {
  return {
    whole,
    chapters: chapters.map(({ chapter: { id, index, title, path }, state, value }) => {
      return { id, index, title, path: [...path], state, value };
    }),
    next: next === null ? null : String(next),
    coverage: coverage && {
      chapters: coverage.chapters,
      chapters_with_evidence: coverage.chaptersWithEvidence,
      quotations_by_tenth: [...coverage.quotationsByTenth],
    },
  };
}
