import type { z } from "zod";

/** What can be asked of a model: one validated answer. */
export interface Question<Value> {
  /** Names the prompt in the ledger: `summary.chapter`. */
  readonly prompt: string;
  /** The same for all chapters and books, so that providers can cache the prefix. */
  readonly instructions: string;
  /** The book's own words, marked as data. */
  readonly input: string;
  /** Keeps to the strict subset of JSON Schema. */
  readonly schema: z.ZodType<Value>;
  readonly schemaName: string;
  readonly maxOutputTokens: number;
}

/** Asks the model. Rejects with an error that knows whether a retry may help. */
export type Ask = <Value>(question: Question<Value>) => Promise<Value>;

export interface BookFacts {
  readonly title: string | null;
  readonly authors: readonly string[];
  readonly language: string | null;
}

export interface ChapterText {
  readonly id: string;
  readonly index: number;
  readonly title: string;
  readonly path: readonly string[];
  readonly text: string;
}

/** A place in the book that shows a statement. Offsets are UTF-16 code units in the chapter's text. */
export interface Evidence {
  readonly chapterId: string;
  readonly start: number;
  readonly end: number;
  /** Verbatim what stands between `start` and `end`. */
  readonly quote: string;
}

export interface ChapterTask {
  readonly book: BookFacts;
  readonly chapter: ChapterText;
  /** Null runs the offline method. */
  readonly ask: Ask | null;
}

export interface MergeTask {
  readonly book: BookFacts;
  /** What is merged, for people: `Chapter 1 to Chapter 12`, `the whole book`. */
  readonly title: string;
  /** True at the root of the tree. */
  readonly whole: boolean;
  /** Results of chapters or of merges below, in reading order. */
  readonly children: readonly { readonly title: string; readonly value: unknown }[];
  readonly ask: Ask | null;
}

export interface RenderTask {
  readonly book: BookFacts;
  /** In reading order; value null where the step failed or is not done yet. */
  readonly chapters: readonly {
    readonly id: string;
    readonly title: string;
    readonly path: readonly string[];
    readonly value: unknown;
  }[];
  /** The root's value, null while there is none. */
  readonly whole: unknown;
  readonly method: Method;
}

export type Method = "model" | "offline";

/** A rough forecast for one chapter, for the price range. */
export interface Forecast {
  readonly calls: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** The most it can become, repair calls included. */
  readonly maxInputTokens: number;
  readonly maxOutputTokens: number;
}

/**
 * What to make of a book. Pure: no network, no clock, no store; the model is reached through `ask` alone. Values are JSON.
 */
export interface Recipe {
  readonly name: string;
  /** Rises when prompt, schema or checks change: older answers are then not reused. */
  readonly version: number;
  chapter(task: ChapterTask): Promise<unknown>;
  merge(task: MergeTask): Promise<unknown>;
  /** One Markdown file of everything there is. */
  render(task: RenderTask): { readonly fileName: string; readonly markdown: string };
  /** `length` in UTF-16 code units. */
  forecastChapter(length: number): Forecast;
  forecastMerge(children: number): Forecast;
}
