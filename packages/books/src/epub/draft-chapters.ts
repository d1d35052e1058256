import { kindOfTitle, kindOfTypes } from "../chapter-kind.ts";
import type { ChapterDraft } from "../number-chapters.ts";
import type { ChapterKind } from "../parsed-file.ts";
import { type BookDocument, type ChapterStart, unitsBetween } from "./outline.ts";
import type { Note } from "./read-document.ts";

/** A chapter and where its text comes from. */
export interface EpubDraft extends ChapterDraft {
  readonly isListed: boolean;
}

/** Finds the note that a reference in a document leads to: `<name>#<id>`. */
export type NoteFinder = (document: BookDocument, href: string) => string | null;

/** The landmark "start reading here" is believed when it stands in this first share of the text. */
const LATEST_BODY_START = 0.2;

interface Range {
  readonly document: BookDocument;
  /** Index of the first paragraph. */
  readonly from: number;
  /** Index of the first paragraph after it. */
  readonly to: number;
}

/** Puts the text of each chapter together, and the notes with the chapter that mentions them first. */
export function draftChapters(
  documents: readonly BookDocument[],
  starts: readonly ChapterStart[],
  findNote: NoteFinder,
): EpubDraft[] {
  const kinds = kindsOf(documents, starts);
  const ranges = starts.map((start, index) => rangesOf(documents, start, starts[index + 1]));
  const notes = assignNotes(documents, ranges, findNote);
  return starts.map((start, index) => ({
    title: start.title,
    path: start.path,
    kind: kinds[index] ?? "body",
    paragraphs: (ranges[index] ?? []).flatMap(({ document, from, to }) =>
      document.paragraphs.slice(from, to),
    ),
    notes: notes[index] ?? [],
    isListed: start.isListed,
  }));
}

function rangesOf(
  documents: readonly BookDocument[],
  start: ChapterStart,
  next: ChapterStart | undefined,
): Range[] {
  const end = next ?? { document: documents.length, paragraph: 0 };
  const ranges: Range[] = [];
  for (let index = start.document; index <= end.document; index += 1) {
    const document = documents[index];
    if (document === undefined || (index === end.document && end.paragraph === 0)) {
      break;
    }
    const from = index === start.document ? start.paragraph : 0;
    const to = index === end.document ? end.paragraph : document.paragraphs.length;
    ranges.push({ document, from, to });
  }
  return ranges;
}

function assignNotes(
  documents: readonly BookDocument[],
  ranges: readonly (readonly Range[])[],
  findNote: NoteFinder,
): string[][] {
  const waiting = new Map<string, string>();
  for (const { name, notes } of documents) {
    for (const note of notes) {
      waiting.set(noteKey(name, note), note.text);
    }
  }
  const take = (key: string | null): string[] => {
    const text = key === null ? undefined : waiting.get(key);
    waiting.delete(key ?? "");
    return text === undefined ? [] : [text];
  };
  const mentioned = ranges.map((chapter) =>
    chapter.flatMap(({ document, from, to }) =>
      document.references
        .filter(({ paragraph }) => paragraph >= from && (paragraph < to || isLast(document, to)))
        .flatMap(({ href }) => take(findNote(document, href))),
    ),
  );
  return ranges.map((chapter, index) => [
    ...(mentioned[index] ?? []),
    ...chapter.flatMap(({ document, from, to }) =>
      document.notes
        .filter(({ paragraph }) => paragraph >= from && (paragraph < to || isLast(document, to)))
        .flatMap((note) => take(noteKey(document.name, note))),
    ),
  ]);
}

function noteKey(name: string, note: Note): string {
  return `${name}#${note.id ?? `${note.paragraph} ${note.text}`}`;
}

function isLast(document: BookDocument, to: number): boolean {
  return to === document.paragraphs.length;
}

/** What the chapter's own elements say, then its title, then guide and landmarks. A book without a body has all body. */
function kindsOf(documents: readonly BookDocument[], starts: readonly ChapterStart[]): ChapterKind[] {
  const bodyStart = findBodyStart(documents);
  const kinds = starts.map((start): ChapterKind => {
    const document = documents[start.document];
    const isWholeDocument = start.paragraph === 0;
    const outerTitle = start.path[0] ?? "";
    return (
      kindOfTypes(start.types) ??
      kindOfTitle(start.title) ??
      (isWholeDocument ? kindOfTypes(document?.landmarkTypes ?? []) : null) ??
      kindOfTitle(outerTitle) ??
      (start.document < bodyStart ? "front" : outsideOrder(document))
    );
  });
  return kinds.includes("body") ? kinds : kinds.map(() => "body");
}

/** What is read only when a link leads there is no part of the story. */
function outsideOrder(document: BookDocument | undefined): ChapterKind {
  return document?.isLinear === false ? "back" : "body";
}

function findBodyStart(documents: readonly BookDocument[]): number {
  const index = documents.findIndex(({ landmarkTypes }) =>
    landmarkTypes.some((type) => type === "bodymatter" || type === "text"),
  );
  const units = documents.map((document) => unitsBetween(document, 0));
  const total = units.reduce((sum, size) => sum + size, 0);
  const before = units.slice(0, Math.max(0, index)).reduce((sum, size) => sum + size, 0);
  return before <= total * LATEST_BODY_START ? index : 0;
}
