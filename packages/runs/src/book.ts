/**
 * A book: an uploaded file and its parsed chapters.
 *
 * ```
 * stored ──▶ parsing ──▶ ready
 *    └──────────┴──────▶ refused
 * ```
 * `stored`: the bytes are here and its parse step is queued. `parsing`: a worker has claimed that step. `ready`: chapters can
 * be read. `refused`: the file cannot be used, `error` says why. A deleted book has `deletedAt` and is invisible to its user.
 */
export type BookStatus = "stored" | "parsing" | "ready" | "refused";

export type BookFormat = "epub" | "text";

/** Why something ended badly, as data that can be stored and shown. */
export interface Failure {
  /** Stable, in snake_case, listed in docs/errors.md. */
  readonly code: string;
  /** A sentence for people. Never a stack, a path or a piece of the book. */
  readonly detail: string;
}

export interface Book {
  readonly id: string;
  readonly user: string;
  readonly status: BookStatus;
  /** Of the file's bytes, in hexadecimal. */
  readonly sha256: string;
  readonly bytes: number;
  readonly format: BookFormat;
  /** As the client named it: a hint for people, never a path. */
  readonly fileName: string | null;
  /** As the book says, else its file name without the ending. */
  readonly title: string | null;
  readonly authors: readonly string[];
  /** BCP 47, as the book says. */
  readonly language: string | null;
  /** Chapters stored, 0 until ready. */
  readonly chapters: number;
  /** UTF-16 code units of all chapters together. */
  readonly characters: number;
  /** What the parser had to work around. */
  readonly warnings: readonly string[];
  /** Which write of the chapters counts: the fence of the parse step that finished. */
  readonly edition: number | null;
  readonly error: Failure | null;
  readonly createdAt: Date;
  readonly readyAt: Date | null;
  readonly deletedAt: Date | null;
  /** Rises by one with every change. */
  readonly revision: number;
}

/** Where a chapter stands in the book and what it is. */
export type ChapterKind = "front" | "body" | "back";

/** A chapter without its text. */
export interface ChapterOutline {
  /** `c0001`, counted in reading order. */
  readonly id: string;
  /** 0-based, in reading order. */
  readonly index: number;
  readonly title: string;
  /** Titles from the book's outermost part down to this chapter. */
  readonly path: readonly string[];
  readonly kind: ChapterKind;
  /** Offset of the text in the whole book, in UTF-16 code units. */
  readonly start: number;
  /** Units of text, in UTF-16 code units. */
  readonly length: number;
}

export interface Chapter extends ChapterOutline {
  /** Paragraphs apart by one empty line, in NFC. */
  readonly text: string;
  /** Footnotes and endnotes, kept out of the text. */
  readonly notes: readonly string[];
}

/** What parsing found out about a book. */
export interface ParsedBook {
  readonly title: string | null;
  readonly authors: readonly string[];
  readonly language: string | null;
  readonly warnings: readonly string[];
  readonly chapters: number;
  readonly characters: number;
}

/** The result of a parse step: what the book becomes. */
export type ParseResult =
  | { readonly status: "ready"; readonly edition: number; readonly parsed: ParsedBook }
  | { readonly status: "refused"; readonly error: Failure };
