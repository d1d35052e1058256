import { z } from "zod";
import type { Book, ChapterOutline } from "../book.ts";
import type { RecipeResult } from "../read-result.ts";
import { LIVE_RUN_STATUSES, type Run, TERMINAL_RUN_STATUSES } from "../run.ts";
import type { ApiKey, Page } from "../store.ts";

/** A value as JSON has it: what the cache keeps is read by other processes, and by those of the next version. */
export type Plain<Value> = Value extends Date
  ? string
  : Value extends readonly (infer Item)[]
    ? readonly Plain<Item>[]
    : Value extends object
      ? { readonly [Name in keyof Value]: Plain<Value[Name]> }
      : Value;

/** A run as it is shown. */
export type RunView = Plain<Run>;
/** A book as it is shown. */
export type BookView = Plain<Book>;
/** A book with its chapters, without their texts. */
export interface WholeBookView {
  readonly book: BookView;
  readonly chapters: readonly Plain<ChapterOutline>[];
}
export type BookPageView = Page<BookView>;
/** What a recipe of a run that has ended has made. */
export type ResultView = Plain<RecipeResult>;
/** Whom a key lets in. Only keys that are good are kept. */
export type KeyView = Pick<ApiKey, "id" | "user" | "role">;

/** Dates become ISO 8601; the rest is JSON already. */
export function plain<Value>(value: Value): Plain<Value> {
  return JSON.parse(JSON.stringify(value)) as Plain<Value>;
}

const failureSchema = z.object({ code: z.string(), detail: z.string() });

export const runViewSchema: z.ZodType<RunView> = z.object({
  id: z.string(),
  user: z.string(),
  bookId: z.string(),
  recipes: z.array(z.string()),
  options: z.object({
    maxCost: z.number().nullable(),
    fresh: z.boolean(),
    serviceTier: z.literal("flex").exactOptional(),
  }),
  model: z.string().nullable(),
  status: z.enum([...LIVE_RUN_STATUSES, ...TERMINAL_RUN_STATUSES]),
  stage: z.enum(["parsing", "chapters", "merging", "finishing", "done"]),
  counts: z.object({ total: z.number(), completed: z.number(), failed: z.number() }),
  usage: z.object({
    calls: z.number(),
    inputTokens: z.number(),
    cachedTokens: z.number(),
    outputTokens: z.number(),
    cost: z.number().nullable(),
    reusedAnswers: z.number(),
  }),
  failures: z.array(failureSchema.extend({ step: z.string(), unit: z.string() })),
  error: failureSchema.nullable(),
  queuedAt: z.string(),
  runningAt: z.string().nullable(),
  cancellingAt: z.string().nullable(),
  succeededAt: z.string().nullable(),
  partialAt: z.string().nullable(),
  failedAt: z.string().nullable(),
  cancelledAt: z.string().nullable(),
  revision: z.number(),
});

const bookViewSchema: z.ZodType<BookView> = z.object({
  id: z.string(),
  user: z.string(),
  status: z.enum(["stored", "parsing", "ready", "refused"]),
  sha256: z.string(),
  bytes: z.number(),
  format: z.enum(["epub", "text"]),
  fileName: z.string().nullable(),
  title: z.string().nullable(),
  authors: z.array(z.string()),
  language: z.string().nullable(),
  chapters: z.number(),
  characters: z.number(),
  warnings: z.array(z.string()),
  edition: z.number().nullable(),
  error: failureSchema.nullable(),
  createdAt: z.string(),
  readyAt: z.string().nullable(),
  deletedAt: z.string().nullable(),
  revision: z.number(),
});

const outlineSchema: z.ZodType<Plain<ChapterOutline>> = z.object({
  id: z.string(),
  index: z.number(),
  title: z.string(),
  path: z.array(z.string()),
  kind: z.enum(["front", "body", "back"]),
  start: z.number(),
  length: z.number(),
});

export const wholeBookViewSchema: z.ZodType<WholeBookView> = z.object({
  book: bookViewSchema,
  chapters: z.array(outlineSchema),
});

export const bookPageViewSchema: z.ZodType<BookPageView> = z.object({
  items: z.array(bookViewSchema),
  next: z.string().nullable(),
});

export const resultViewSchema: z.ZodType<ResultView> = z.object({
  recipe: z.string(),
  chapters: z.array(
    z.object({
      chapter: outlineSchema,
      state: z.enum(["pending", "running", "done", "failed", "cancelled", "dead"]),
      value: z.unknown(),
    }),
  ),
  next: z.number().nullable(),
  whole: z.unknown(),
  coverage: z
    .object({
      recipe: z.string(),
      chapters: z.number(),
      chaptersWithEvidence: z.number(),
      quotationsByTenth: z.array(z.number()),
    })
    .nullable(),
});

export const keyViewSchema: z.ZodType<KeyView> = z.object({
  id: z.string(),
  user: z.string(),
  role: z.enum(["user", "admin"]),
});
