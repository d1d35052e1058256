import { z } from "zod";
import type { ChapterOutline } from "./book.ts";
import { planRun } from "./plan-run.ts";
import type { Run } from "./run.ts";
import type { StepState } from "./step.ts";
import type { Store } from "./store.ts";

export interface ChapterResult {
  readonly chapter: ChapterOutline;
  /** `pending` also when its step waits or is not there yet. */
  readonly state: Exclude<StepState, "waiting">;
  /** What the recipe made of the chapter; null while there is nothing. */
  readonly value: unknown;
}

const coverageSchema = z.object({
  recipe: z.string(),
  chapters: z.number(),
  /** Chapters with at least one statement that the text bears out. */
  chaptersWithEvidence: z.number(),
  /** Quotations located in each tenth of the book's text, from its beginning to its end. */
  quotationsByTenth: z.array(z.number()),
});

const reportSchema = z.object({ coverage: z.array(coverageSchema) });

/** How a recipe's result covers the book: measured by the finish of a run. */
export type Coverage = z.infer<typeof coverageSchema>;

/** What a finish step stores. */
export type RunReport = z.infer<typeof reportSchema>;

/** What one recipe has made of a book so far. */
export interface RecipeResult {
  readonly recipe: string;
  /** In reading order, those of the page that was asked for. */
  readonly chapters: readonly ChapterResult[];
  /** Index of the last chapter of the page when more follow. */
  readonly next: number | null;
  /** The root of the merge tree; null while there is none. */
  readonly whole: unknown;
  /** Null until the run has finished. */
  readonly coverage: Coverage | null;
}

export interface ChapterPage {
  /** Chapters of a higher index only; null for all. */
  readonly after: number | null;
  readonly limit: number;
}

const EVERYTHING: ChapterPage = { after: null, limit: Number.POSITIVE_INFINITY };

/** Reads what a run has made with one of its recipes: everything that is done, also while the run goes on. */
export async function readResult(
  store: Store,
  run: Run,
  recipe: string,
  page: ChapterPage = EVERYTHING,
): Promise<RecipeResult> {
  const outlines = await store.books.outlines(run.user, run.bookId);
  const byIndex = new Map(outlines.map((outline) => [String(outline.index), outline]));
  const wholePlan = planRun(run, outlines);
  const finish = wholePlan.find((step) => step.kind === "finish");
  const plan = wholePlan.filter((step) => step.recipe === recipe);
  const steps = await store.steps.ofRun(run.user, run.id);
  const states = new Map(steps.map(({ id, state }) => [id, state === "waiting" ? "pending" : state]));

  const leaves = plan.filter((step) => step.kind === "chapter" && Number(step.unit) > (page.after ?? -1));
  const shown = leaves.slice(0, page.limit);
  const root = plan.findLast((step) => step.kind === "merge");
  const wanted = [...shown, ...(root ? [root] : []), ...(finish ? [finish] : [])].map((step) => step.id);
  const results = await store.steps.results(run.user, wanted);
  const values = new Map(results.map((result) => [result.stepId, result.value]));

  const chapters = shown.flatMap((step) => {
    const chapter = byIndex.get(step.unit);
    return chapter
      ? [{ chapter, state: states.get(step.id) ?? ("pending" as const), value: values.get(step.id) ?? null }]
      : [];
  });
  const next = leaves.length > shown.length ? Number(shown.at(-1)?.unit) : null;
  const report = reportSchema.safeParse(values.get(finish?.id ?? ""));
  const coverage = report.data?.coverage.find((one) => one.recipe === recipe) ?? null;
  return { recipe, chapters, next, whole: (root && values.get(root.id)) ?? null, coverage };
}
