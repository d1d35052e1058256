import { cutSentence } from "../cut-text.ts";
import type { Span } from "../quotation.ts";
import type { ChapterTask } from "../recipe.ts";
import { createSentenceFinder, findParagraphs, wordSegmenter } from "../sentences.ts";
import { type Candidate, choosePassages } from "./choose-passages.ts";
import { LIMITS } from "./limits.ts";
import {
  type ChapterPassages,
  EMPTY_NOTE,
  type MergedPassages,
  measureCoverage,
  type Passages,
} from "./values.ts";

/** One passage for about two pages of print. */
const WORDS_PER_PASSAGE = 500;
const MAX_CHAPTER_PASSAGES = 8;
const MAX_MERGED_PASSAGES = 12;
const MAX_WHOLE_PASSAGES = 20;
/** Shorter sentences say little alone, longer ones are not passages any more. */
const SENTENCE_WORDS = { min: 8, max: 60 } as const;

interface Sentence extends Span {
  readonly words: readonly string[];
}

/** The offline method: key passages of a chapter, taken from all of its sections. No model, no judgement: not a summary. */
export function findKeyPassages({ chapter, book }: ChapterTask): ChapterPassages {
  const sentences = readSentences(chapter.text, book.language);
  const words = sentences.reduce((sum, sentence) => sum + sentence.words.length, 0);
  const count = Math.min(MAX_CHAPTER_PASSAGES, Math.ceil(words / WORDS_PER_PASSAGE));
  const fitting = sentences.filter(
    (sentence) => sentence.words.length >= SENTENCE_WORDS.min && sentence.words.length <= SENTENCE_WORDS.max,
  );
  const candidates = (fitting.length >= count ? fitting : sentences).map(({ start, end, words: own }) => ({
    passage: { evidence: { chapterId: chapter.id, start, end, quote: chapter.text.slice(start, end) } },
    words: new Set(own),
  }));
  return {
    kind: "chapter",
    method: "offline",
    passages: choosePassages(intoSections(candidates, count, chapter.text.length), count),
    note: words === 0 ? EMPTY_NOTE : null,
  };
}

/** The best of the children's passages, with a quota for every child. */
export function mergeKeyPassages(
  children: readonly Passages[],
  task: { readonly whole: boolean; readonly language: string | null },
): MergedPassages {
  const segmenter = wordSegmenter(task.language);
  const sections = children.map(({ passages }) =>
    passages.map((passage) => ({ passage, words: new Set(readWords(segmenter, passage.evidence.quote)) })),
  );
  const most = task.whole ? MAX_WHOLE_PASSAGES : MAX_MERGED_PASSAGES;
  const passages = children.length === 1 ? (children[0]?.passages ?? []) : choosePassages(sections, most);
  return {
    kind: "merge",
    method: "offline",
    passages,
    coverage: measureCoverage(children, passages),
    note: passages.length === 0 ? EMPTY_NOTE : null,
  };
}

function readSentences(text: string, language: string | null): Sentence[] {
  const findSentences = createSentenceFinder(language);
  const segmenter = wordSegmenter(language);
  return (
    findParagraphs(text)
      .flatMap((paragraph) => findSentences(text, paragraph))
      // Some texts have no sentence ends: what is too long to be looked at is no passage.
      .flatMap((sentence) => cutSentence(text, sentence, LIMITS.quoteLength))
      .map(({ start, end }) => ({ start, end: start + text.slice(start, end).trimEnd().length }))
      .map((span) => ({ ...span, words: readWords(segmenter, text.slice(span.start, span.end)) }))
      .filter(({ words }) => words.length > 0)
  );
}

function readWords(segmenter: Intl.Segmenter, text: string): string[] {
  const words: string[] = [];
  for (const { segment, isWordLike } of segmenter.segment(text)) {
    if (isWordLike === true) {
      words.push(segment.normalize("NFKC").toLowerCase());
    }
  }
  return words;
}

/** Stretches of the text of equal length, each with the candidates that begin in it. */
function intoSections(candidates: readonly Candidate[], count: number, length: number): Candidate[][] {
  const sections = Array.from({ length: count }, (): Candidate[] => []);
  for (const candidate of candidates) {
    sections[Math.min(count - 1, Math.floor((candidate.passage.evidence.start * count) / length))]?.push(
      candidate,
    );
  }
  return sections;
}
