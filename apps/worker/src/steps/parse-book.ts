import { createWriteStream } from "node:fs";
import { join, parse as parsePath } from "node:path";
import { pipeline } from "node:stream/promises";
import type { Book, Chapter, ParseResult, Store } from "@mythic/runs";
import { parseInChild } from "../parsing/parse-in-child.ts";
import { openWorkingCopy } from "../parsing/working-copy.ts";
import { StepError } from "../step-error.ts";
import type { StepContext, StepOutcome } from "../work-step.ts";
import type { StepParts } from "./execute-step.ts";

/** Text written to the store at once, in UTF-16 code units. */
const BATCH_UNITS = 2_000_000;

/**
 * A book's bytes into chapters. A file that cannot be used is a result, not an error: trying again would not mend it. The
 * chapters are an edition of their own until the result is accepted, so a worker that lost its lease spoils nothing.
 */
export async function parseBook({ store }: StepParts, { step, signal }: StepContext): Promise<StepOutcome> {
  const book = await store.books.get(step.user, step.bookId);
  if (!book) throw new StepError("book_deleted", "The book was deleted.", false);
  await store.books.markParsing(step.user, step.bookId);
  await using copy = await openWorkingCopy();
  const file = join(copy.directory, "book");
  await pipeline(store.books.readBytes(step.user, step.bookId), createWriteStream(file), { signal });
  return { value: await parse(store, { book, file, edition: step.fence, signal }), reusedAnswers: 0 };
}

interface Parse {
  readonly book: Book;
  readonly file: string;
  readonly edition: number;
  readonly signal: AbortSignal;
}

async function parse(store: Store, { book, file, edition, signal }: Parse): Promise<ParseResult> {
  const batch: Chapter[] = [];
  let units = 0;
  let count = 0;
  let characters = 0;
  let written: Promise<void> = Promise.resolve();
  const flush = () => {
    const chapters = batch.splice(0);
    units = 0;
    written = written.then(() => store.books.saveChapters(book.user, book.id, edition, chapters));
    written.catch(() => undefined); // it is awaited below, after the process has ended
  };
  const onChapter = (chapter: Chapter) => {
    batch.push(chapter);
    count++;
    units += chapter.text.length;
    characters += chapter.text.length;
    if (units >= BATCH_UNITS) flush();
  };
  const parsing = await parseInChild({ file, format: book.format, bytes: book.bytes, signal, onChapter });
  if (parsing.status === "refused") return parsing;
  flush();
  await written;
  if (characters === 0) {
    const detail = "The book has no text, only pictures perhaps.";
    return { status: "refused", error: { code: "no_text", detail } };
  }
  const { authors, language, warnings } = parsing;
  const title = parsing.title ?? (book.fileName && parsePath(book.fileName).name);
  return {
    status: "ready",
    edition,
    parsed: { title, authors, language, warnings, chapters: count, characters },
  };
}
