import type { Bench } from "../bench.ts";

/** A step's question of the load, by its place in the library. */
export interface Place {
  readonly book: number;
  readonly chapter: number;
  readonly step: number;
}

export interface Library {
  readonly books: number;
  readonly chapters: number;
  readonly steps: number;
}

/** Every second book has half of its chapters from the one before, so that a quarter of all questions are alike. */
export function libraryOf(bench: Pick<Bench, "size">): Library {
  return { books: bench.size(20, 4), chapters: bench.size(30, 4), steps: 3 };
}

/** Letters of a chapter: some, and up to so many more. */
const LEAST_LETTERS = 400;
const MORE_LETTERS = 3_600;

/** All questions of a book, in order. */
export function placesOf(book: number, { chapters, steps }: Library): readonly Place[] {
  return Array.from({ length: chapters }, (_, chapter) =>
    Array.from({ length: steps }, (__, step): Place => ({ book, chapter, step })),
  ).flat();
}

/** How many different questions there are. */
export function differentQuestions({ books, chapters, steps }: Library): number {
  return (books * chapters - Math.floor(books / 2) * Math.floor(chapters / 2)) * steps;
}

/** Equal for chapters that are alike. */
export function textOf({ book, chapter, step }: Place, { chapters }: Library): string {
  const isBorrowed = book % 2 === 1 && chapter < Math.floor(chapters / 2);
  const from = isBorrowed ? book - 1 : book;
  const sentence = `Of book ${from}, chapter ${chapter}: the keeper saw the tide come in and wrote it down.\n`;
  const letters = LEAST_LETTERS + ((from * 1_009 + chapter * 7_919 + step * 104_729) % MORE_LETTERS);
  const text = sentence.repeat(Math.ceil(letters / sentence.length)).slice(0, letters);
  return `Step ${step}.\n${text}`;
}
