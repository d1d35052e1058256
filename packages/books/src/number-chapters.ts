import { BookError } from "./book-error.ts";
import type { BookWarningCode, ChapterKind, ParsedChapter } from "./parsed-file.ts";

/** A chapter before it has its place in the book. */
export interface ChapterDraft {
  readonly title: string;
  /** Titles down to and including this chapter's. */
  readonly path: readonly string[];
  readonly kind: ChapterKind;
  readonly paragraphs: readonly string[];
  readonly notes: readonly string[];
}

/**
 * Gives chapters their ids and offsets. A chapter above `chapterUnits` becomes several, cut at paragraph ends. Chapters without
 * any words are left out, unless the book has no other; then it is for the caller to say what to do with it.
 */
export function numberChapters(
  drafts: readonly ChapterDraft[],
  chapterUnits: number,
  warnings: Set<BookWarningCode>,
): ParsedChapter[] {
  const withWords = drafts.filter(({ paragraphs, notes }) => paragraphs.length > 0 || notes.length > 0);
  if (withWords.length === 0) {
    warnings.add("no_text");
  } else if (withWords.length < drafts.length) {
    warnings.add("chapter_without_text");
  }
  const kept = withWords.length > 0 ? withWords : drafts;
  const chapters: ParsedChapter[] = [];
  let start = 0;
  for (const draft of kept.flatMap((whole) => splitChapter(whole, chapterUnits, warnings))) {
    const index = chapters.length;
    const { title, path, kind, notes } = draft;
    const text = draft.paragraphs.join("\n\n");
    const id = `c${String(index + 1).padStart(4, "0")}`;
    chapters.push({ id, index, title, path, kind, text, start, length: text.length, notes });
    start += text.length;
  }
  if (chapters.length === 0) {
    throw new BookError("no_text", "There is nothing to read in this book.");
  }
  return chapters;
}

function splitChapter(
  draft: ChapterDraft,
  chapterUnits: number,
  warnings: Set<BookWarningCode>,
): ChapterDraft[] {
  const texts = packParagraphs(draft.paragraphs, chapterUnits);
  const notes = packParagraphs(draft.notes, chapterUnits);
  const parts = Math.max(texts.length, notes.length);
  if (parts <= 1) {
    return [draft];
  }
  warnings.add("chapter_split");
  return Array.from({ length: parts }, (_, index) => {
    const title = `${draft.title} (${index + 1})`;
    const path = [...draft.path.slice(0, -1), title];
    return { title, path, kind: draft.kind, paragraphs: texts[index] ?? [], notes: notes[index] ?? [] };
  });
}

/** Groups of neighbours, none above `units` with the empty lines between. Their sizes are about equal. */
export function packParagraphs(paragraphs: readonly string[], units: number): string[][] {
  const pieces = paragraphs.flatMap((paragraph) => cutParagraph(paragraph, units));
  const total = pieces.reduce((sum, piece) => sum + piece.length + 2, -2);
  const target = total / Math.max(1, Math.ceil(total / units));
  const groups: string[][] = [];
  let length = Number.POSITIVE_INFINITY;
  for (const piece of pieces) {
    if (length + 2 + piece.length > units || length >= target) {
      groups.push([piece]);
      length = piece.length;
    } else {
      groups.at(-1)?.push(piece);
      length += 2 + piece.length;
    }
  }
  return groups;
}

/** Pieces of at most so many units: cut at spaces, else between characters. */
export function cutParagraph(paragraph: string, units: number): string[] {
  const pieces: string[] = [];
  let rest = paragraph;
  while (rest.length > units) {
    const space = rest.lastIndexOf(" ", units);
    const end = space > 0 ? space : endOfCharacter(rest, units);
    pieces.push(rest.slice(0, end).trimEnd());
    rest = rest.slice(end).trimStart();
  }
  return rest === "" ? pieces : [...pieces, rest];
}

function endOfCharacter(text: string, end: number): number {
  const next = text.charCodeAt(end);
  const isInsidePair = next >= 0xdc00 && next <= 0xdfff;
  return isInsidePair && end > 1 ? end - 1 : end;
}
