import type { Span } from "./quotation.ts";
import { createSentenceFinder, findParagraphs } from "./sentences.ts";

/**
 * Cuts a text into parts of at most `limit` UTF-16 code units: at paragraph ends; inside a paragraph only where it is longer
 * than the limit by itself, and then at sentence ends, else at spaces, else between characters. The parts hold every word of the
 * text, in order. An empty text has no parts.
 */
export function cutText(text: string, limit: number, language: string | null): Span[] {
  const findSentences = createSentenceFinder(language);
  const units = findParagraphs(text).flatMap((paragraph) =>
    paragraph.end - paragraph.start <= limit
      ? [paragraph]
      : findSentences(text, paragraph).flatMap((sentence) => cutSentence(text, sentence, limit)),
  );
  return packUnits(units, limit);
}

/** Cuts a sentence at spaces, else between characters. */
export function cutSentence(text: string, sentence: Span, limit: number): Span[] {
  const pieces: Span[] = [];
  let start = sentence.start;
  while (sentence.end - start > limit) {
    const end = cutBefore(text, start, start + limit);
    pieces.push({ start, end });
    start = end;
  }
  pieces.push({ start, end: sentence.end });
  return pieces;
}

/** The last place before `end` where a cut does least harm. */
function cutBefore(text: string, start: number, end: number): number {
  const space = text.slice(start, end).search(/\s\S*$/u);
  if (space > 0) {
    return start + space + 1;
  }
  const next = text.charCodeAt(end);
  const isLowSurrogate = next >= 0xdc00 && next <= 0xdfff;
  return isLowSurrogate && end - start > 1 ? end - 1 : end;
}

/** Joins neighbours into parts of about equal size, none above the limit. */
function packUnits(units: readonly Span[], limit: number): Span[] {
  const first = units[0];
  const last = units.at(-1);
  if (first === undefined || last === undefined) {
    return [];
  }
  const total = last.end - first.start;
  const target = total / Math.ceil(total / limit);
  const parts: Span[] = [];
  let part = first;
  for (const unit of units.slice(1)) {
    const isFull = unit.end - part.start > limit || part.end - part.start >= target;
    if (isFull) {
      parts.push(part);
      part = unit;
    } else {
      part = { start: part.start, end: unit.end };
    }
  }
  parts.push(part);
  return parts;
}
