import type { Span } from "./quotation.ts";

/** A full stop after these does not end a sentence. Lower case, without the last full stop. */
const ABBREVIATIONS = new Set(
  (
    "mr mrs ms mx dr st prof rev hon capt col gen lt maj sgt cpl sr jr messrs mme mlle esq bros inc ltd co corp " +
    "vs etc e.g i.e cf viz al fig figs no nos vol vols ch chap pp p ed eds approx dept est " +
    "z.b d.h u.a bzw nr hr fr bd abb s.o u.s sig sra srta ud uds sig.ra dott ing avv т.е т.д т.п др г им"
  ).split(" "),
);
const LAST_WORD = /([\p{L}.]+)\.["'\u2019\u201d)\]]*\s*$/u;
const INITIAL = /^(?:\p{Lu}|(?:\p{Lu}\.)+\p{Lu})$/u;
/** What goes on in lower case is no new sentence: “Really?” said Ada. */
const CONTINUATION = /^[\s\p{P}]*\p{Ll}/u;
const PARAGRAPH_BREAK = /\n\s*\n/gu;

/** Paragraphs of a text, which stand apart by empty lines; without the spaces around them. */
export function findParagraphs(text: string): Span[] {
  const paragraphs: Span[] = [];
  let from = 0;
  for (const match of text.matchAll(PARAGRAPH_BREAK)) {
    pushTrimmed(paragraphs, text, { start: from, end: match.index });
    from = match.index + match[0].length;
  }
  pushTrimmed(paragraphs, text, { start: from, end: text.length });
  return paragraphs;
}

/**
 * Finds the sentences of paragraphs, in order, without the spaces around them. `Intl.Segmenter` (UAX 29) finds the ends; an end
 * after an abbreviation or an initial, or before a small letter, is taken back. A language that the runtime does not know is
 * segmented by the general rules.
 */
export function createSentenceFinder(language: string | null): (text: string, paragraph: Span) => Span[] {
  const segmenter = new Intl.Segmenter(knownLanguage(language), { granularity: "sentence" });
  return (text, paragraph) => {
    // A line end inside a paragraph is a space: to UAX 29 it would end a sentence.
    const flat = text.slice(paragraph.start, paragraph.end).replace(/[\n\r\u0085\u2028\u2029]/gu, " ");
    const sentences: Span[] = [];
    let start = 0;
    let end = 0;
    for (const { segment, index } of segmenter.segment(flat)) {
      const continues =
        CONTINUATION.test(segment) || endsInAbbreviation(flat.slice(Math.max(start, end - 24), end));
      if (!continues) {
        pushTrimmed(sentences, text, { start: paragraph.start + start, end: paragraph.start + end });
        start = index;
      }
      end = index + segment.length;
    }
    pushTrimmed(sentences, text, { start: paragraph.start + start, end: paragraph.start + end });
    return sentences;
  };
}

/** A segmenter for words of a language, or for words in general. */
export function wordSegmenter(language: string | null): Intl.Segmenter {
  return new Intl.Segmenter(knownLanguage(language), { granularity: "word" });
}

/** Books name their language freely: what is no BCP 47 tag is ignored. */
function knownLanguage(language: string | null): string {
  if (language === null || !/^[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*$/u.test(language)) {
    return "und";
  }
  try {
    return Intl.getCanonicalLocales(language)[0] ?? "und";
  } catch {
    return "und";
  }
}

function endsInAbbreviation(segment: string): boolean {
  const word = LAST_WORD.exec(segment)?.[1];
  return word !== undefined && (INITIAL.test(word) || ABBREVIATIONS.has(word.toLowerCase()));
}

function pushTrimmed(spans: Span[], text: string, span: Span): void {
  const slice = text.slice(span.start, span.end);
  const trimmed = slice.trim();
  if (trimmed !== "") {
    const start = span.start + slice.length - slice.trimStart().length;
    spans.push({ start, end: start + trimmed.length });
  }
}
