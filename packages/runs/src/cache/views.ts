import { z } from "zod";
import type { Book, ChapterOutline } from "../book.ts";
import type { RecipeResult } from "../read-result.ts";
import type { Run } from "../run.ts";
import { bookSchema, runSchema } from "../schemas.ts";
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

export const runViewSchema: z.ZodType<RunView> = runSchema(z.string());

const bookViewSchema: z.ZodType<BookView> = bookSchema(z.string());

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
