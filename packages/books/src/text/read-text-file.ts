import { readFile, stat } from "node:fs/promises";
import { BookError } from "../book-error.ts";
import { kindOfTitle } from "../chapter-kind.ts";
import { cleanLine } from "../clean-text.ts";
import { mergeHeadings } from "../merge-headings.ts";
import { type ChapterDraft, numberChapters, packParagraphs } from "../number-chapters.ts";
import type { ParseLimits } from "../parse-limits.ts";
import type { BookWarningCode, ParsedFile } from "../parsed-file.ts";
import { decodeText } from "./decode-text.ts";
import { cutGutenberg, type GutenbergText } from "./gutenberg.ts";
import { findHeadings, type TextHeading } from "./headings.ts";
import { findBlocks, joinLines, usualWidth } from "./paragraphs.ts";

/** Size of a chapter where the text has none: about 5,000 words, as chapters of novels have. UTF-16 code units. */
const WINDOW_UNITS = 30_000;
/** What stands before the first heading is front matter if it is at most this share of the text. */
const LARGEST_FRONT_SHARE = 0.2;

/** Reads a plain text file. */
export async function readTextFile(file: string, limits: ParseLimits): Promise<ParsedFile> {
  if ((await stat(file)).size > limits.entryBytes) {
    throw new BookError("too_large", `The text has more than the ${limits.entryBytes} bytes allowed.`);
  }
  const warnings = new Set<BookWarningCode>();
  const decoded = decodeText(await readFile(file), warnings);
  if (decoded.length > limits.textUnits || countLines(decoded) > limits.paragraphs) {
    throw new BookError("too_large", "The book has more text than is allowed.");
  }
  const book = cutGutenberg(decoded.replace(/\r\n?|[\f\u0085]/g, "\n"));
  const blocks = findBlocks(book.text).filter(({ lines }) => cleanLine(lines.join(" ")) !== "");
  if (blocks.length === 0) {
    throw new BookError("no_text", "The file holds no text.");
  }
  const headings = findHeadings(blocks);
  const width = usualWidth(blocks);
  const paragraphs = blocks.map((block) => joinLines(block, width));
  const drafts =
    headings.length === 0
      ? cutWindows(paragraphs, book, warnings)
      : cutAtHeadings(paragraphs, headings, book);
  return {
    title: book.title,
    authors: book.authors,
    language: book.language,
    warnings: [...warnings],
    chapters: numberChapters(mergeHeadings(drafts), limits.chapterUnits, warnings),
    tocEntries: 0,
  };
}

function cutAtHeadings(
  paragraphs: readonly string[],
  headings: readonly TextHeading[],
  book: GutenbergText,
): ChapterDraft[] {
  const path: { readonly level: number; readonly title: string }[] = [];
  const chapters = headings.map(({ title, level, block }, index): ChapterDraft => {
    while ((path.at(-1)?.level ?? 0) >= level) {
      path.pop();
    }
    path.push({ level, title });
    return {
      title,
      path: path.map((step) => step.title),
      kind: kindOfTitle(title) ?? "body",
      paragraphs: paragraphs.slice(block, headings[index + 1]?.block),
      notes: [],
    };
  });
  const front = paragraphs.slice(0, headings[0]?.block);
  return front.length === 0 ? chapters : [draftFront(front, paragraphs, book), ...chapters];
}

function draftFront(
  front: readonly string[],
  paragraphs: readonly string[],
  book: GutenbergText,
): ChapterDraft {
  const isFront = units(front) <= units(paragraphs) * LARGEST_FRONT_SHARE;
  const title = book.title ?? shorten(front[0] ?? "");
  return { title, path: [title], kind: isFront ? "front" : "body", paragraphs: front, notes: [] };
}

function cutWindows(
  paragraphs: readonly string[],
  book: GutenbergText,
  warnings: Set<BookWarningCode>,
): ChapterDraft[] {
  warnings.add("synthetic_chapters");
  const windows = packParagraphs(paragraphs, WINDOW_UNITS);
  return windows.map((window, index) => {
    const number = `Part ${index + 1} of ${windows.length}`;
    const title = windows.length > 1 ? number : (book.title ?? shorten(window[0] ?? ""));
    return { title, path: [title], kind: "body", paragraphs: window, notes: [] };
  });
}

function shorten(paragraph: string): string {
  const line = paragraph.split("\n")[0] ?? "";
  return line.length <= 60 ? line : `${line.slice(0, 60).replace(/\s\S*$/u, "")}…`;
}

function countLines(text: string): number {
  let lines = 1;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    const isLineFeed = unit === 0x0a;
    lines += isLineFeed || (unit === 0x0d && text.charCodeAt(index + 1) !== 0x0a) ? 1 : 0;
  }
  return lines;
}

function units(paragraphs: readonly string[]): number {
  return paragraphs.reduce((sum, { length }) => sum + length, 0);
}
