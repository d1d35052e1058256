/**
 * What a file may cost. All sizes are counted on what is really inflated or decoded, not on what the file declares.
 * The largest real book measured, the Mahabharata with 2,020 entries and 6.4 million units of text, stays far below.
 */
export interface ParseLimits {
  /** Entries of the archive. */
  readonly entries: number;
  /** Bytes of one entry, inflated; also of a text file. */
  readonly entryBytes: number;
  /** Bytes of all entries together, inflated. */
  readonly totalBytes: number;
  /** Inflated bytes for each stored byte, for entries above one megabyte. Real markup was never seen above 32. */
  readonly inflation: number;
  /** Elements inside each other. */
  readonly depth: number;
  /** Documents in the reading order. */
  readonly documents: number;
  /** Entries of the table of contents. */
  readonly tocEntries: number;
  /** Paragraphs, notes and their marks of a book together; lines of a text file. */
  readonly paragraphs: number;
  /** UTF-16 code units of the book, notes included. */
  readonly textUnits: number;
  /** UTF-16 code units of one chapter. Longer ones are cut, not refused. */
  readonly chapterUnits: number;
}

export const DEFAULT_PARSE_LIMITS: ParseLimits = {
  entries: 20_000,
  entryBytes: 60_000_000,
  totalBytes: 400_000_000,
  inflation: 60,
  depth: 512,
  documents: 20_000,
  tocEntries: 20_000,
  paragraphs: 1_000_000,
  textUnits: 50_000_000,
  chapterUnits: 1_000_000,
};
