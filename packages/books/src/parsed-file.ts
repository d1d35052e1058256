/** Where a chapter stands in the book. Front and back matter can be left out of costly work. */
export type ChapterKind = "front" | "body" | "back";

export interface ParsedChapter {
  /** `c0001`, counted in reading order. */
  readonly id: string;
  /** 0-based, in reading order. */
  readonly index: number;
  readonly title: string;
  /** Titles from the book's outermost part down to and including this chapter. */
  readonly path: readonly string[];
  readonly kind: ChapterKind;
  /** In NFC. Paragraphs are apart by one empty line; a single line break inside one is a line of verse or of a table. */
  readonly text: string;
  /** Offset of the text in all chapters' texts put end to end, in UTF-16 code units. */
  readonly start: number;
  /** UTF-16 code units of the text. */
  readonly length: number;
  /** Footnotes and endnotes, in the order of their first mention. */
  readonly notes: readonly string[];
}

/**
 * What the parser had to work around.
 *
 * - `container_repaired`: the container file is missing or wrong; the package document was found by its name.
 * - `spine_missing`: there is no reading order; the documents are taken as they are listed.
 * - `document_missing`: the reading order or the table of contents names a document that is not there.
 * - `toc_missing`: there is no table of contents; chapters come from headings, or else from files.
 * - `toc_target_missing`: a place named by the table of contents does not exist.
 * - `toc_too_coarse`: the table of contents puts nearly all text in one chapter; headings were used.
 * - `toc_too_fine`: the table of contents cuts the text to pieces; its deepest levels were joined.
 * - `chapter_without_text`: a chapter without words was left out.
 * - `chapter_split`: a chapter was too long and is now several.
 * - `replaced_bytes`: some bytes fit no letter and became U+FFFD.
 * - `synthetic_chapters`: no headings were found; the text is cut at even distances.
 * - `no_text`: there are no words in the book; it may consist of images.
 */
export const BOOK_WARNING_CODES = [
  "container_repaired",
  "spine_missing",
  "document_missing",
  "toc_missing",
  "toc_target_missing",
  "toc_too_coarse",
  "toc_too_fine",
  "chapter_without_text",
  "chapter_split",
  "replaced_bytes",
  "synthetic_chapters",
  "no_text",
] as const;

export type BookWarningCode = (typeof BOOK_WARNING_CODES)[number];

export interface ParsedFile {
  readonly title: string | null;
  readonly authors: readonly string[];
  /** BCP 47, as the book says. */
  readonly language: string | null;
  /** Each at most once, see `BOOK_WARNING_CODES`. */
  readonly warnings: readonly BookWarningCode[];
  /** At least one. */
  readonly chapters: readonly ParsedChapter[];
  /** Entries that the book's own table of contents has; 0 in a text file. */
  readonly tocEntries: number;
}
