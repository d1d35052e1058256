import type { Span } from "../quotation.ts";
import { createQuotationIndex, type QuotationFinding, type QuotationIndex } from "../quotation.ts";
import type { ChapterText } from "../recipe.ts";
import { RecipeError } from "../recipe-error.ts";
import { createSentenceFinder, findParagraphs } from "../sentences.ts";
import { LIMITS } from "./limits.ts";
import type { ChapterAnswer } from "./schema.ts";
import type { KeyPoint } from "./values.ts";

/** What is left of an answer's prose, and what is wrong with it in words for the model; null when nothing is. */
export interface CheckedParagraph {
  readonly text: string;
  readonly fault: "empty" | "about_itself" | "too_long" | null;
}

export interface CheckedChapterAnswer {
  readonly paragraph: CheckedParagraph;
  /** Shown in the text, in its order. */
  readonly keyPoints: readonly KeyPoint[];
  /** Statements that are not. */
  readonly rejected: number;
  /** What to mend, in words for the model. They hold nothing of the book. */
  readonly reasons: readonly string[];
}

/** Where an answer's quotations are looked for: a part of a chapter, with offsets counted in the chapter. */
export interface QuotationSource {
  readonly chapter: ChapterText;
  readonly part: Span;
  readonly index: QuotationIndex;
}

const SUBJECT = "summar(?:y|ies)|synopsis|overview|paragraphs?|key points?|answer|study material";
/** An announcement at the beginning: `Sure! Here is a summary of the chapter:`. */
const ANNOUNCEMENT = new RegExp(
  "^(?:(?:sure|certainly|of course|absolutely|okay|great)\\b[,.!:]\\s*)?" +
    `(?:(?:here(?:['\u2019]s| is| are)|below (?:is|are)|the following is)\\b[^.:\\n]{0,120}\\b(?:${SUBJECT})\\b[^.:\\n]{0,120}[.:]\\s*)?`,
  "iu",
);
const ABOUT_ITSELF =
  /^i(?:['\u2019]m| am) (?:sorry|unable)\b|^i can(?:not|['\u2019]t) (?:help|assist|provide|summari[sz]e)\b|\bas an ai (?:language )?model\b|\bas an ai,? i\b/iu;

const PARAGRAPH_REASONS = {
  empty: "paragraph: it is empty.",
  about_itself: "paragraph: it speaks about you or the task instead of the book.",
  too_long: "paragraph: it is too long.",
} as const;

const QUOTATION_REASONS: Readonly<Record<Exclude<QuotationFinding["kind"], "located">, string>> = {
  too_short: "its quote is too short; quote at least 5 consecutive words",
  repeated: "its quote occurs more than once; quote more words of that place",
  absent: "its quote is not in the text word by word; copy one passage exactly, without leaving anything out",
};

/** Makes a place to look quotations up in. */
export function createQuotationSource(chapter: ChapterText, part: Span): QuotationSource {
  return { chapter, part, index: createQuotationIndex(chapter.text.slice(part.start, part.end)) };
}

/** Holds an answer against the text. */
export function checkChapterAnswer(answer: ChapterAnswer, source: QuotationSource): CheckedChapterAnswer {
  const paragraph = checkParagraph(answer.paragraph, LIMITS.chapter.paragraphLength);
  const keyPoints: KeyPoint[] = [];
  const reasons = reasonsOf(paragraph);
  let rejected = 0;
  for (const [position, point] of answer.keyPoints.entries()) {
    const checked = checkKeyPoint(point, source);
    if (typeof checked === "string") {
      rejected += 1;
      reasons.push(`keyPoints, number ${position + 1}: ${checked}.`);
    } else {
      keyPoints.push(checked);
    }
  }
  if (answer.keyPoints.length === 0) {
    reasons.push("keyPoints: there are none.");
  }
  return { paragraph, keyPoints: inOrder(keyPoints), rejected, reasons };
}

/**
 * The points of both answers: those shown at first, and of the second answer what takes the place of those that were not.
 * Dropped is what nothing took the place of.
 */
export function joinKeyPoints(
  first: CheckedChapterAnswer,
  second: CheckedChapterAnswer | null,
): { readonly keyPoints: readonly KeyPoint[]; readonly dropped: number } {
  if (first.keyPoints.length === 0) {
    const keyPoints = second?.keyPoints ?? [];
    const dropped = Math.max(second?.rejected ?? 0, first.rejected - keyPoints.length);
    return { keyPoints: keyPoints.slice(0, LIMITS.chapter.keyPoints), dropped };
  }
  const replacements = (second?.keyPoints ?? [])
    .filter((point) => !first.keyPoints.some((kept) => saysTheSame(kept, point)))
    .slice(0, first.rejected);
  return {
    keyPoints: inOrder([...first.keyPoints, ...replacements]).slice(0, LIMITS.chapter.keyPoints),
    dropped: first.rejected - replacements.length,
  };
}

/** Cleans prose of announcements and stray spaces, and says what is wrong with the rest. */
export function checkParagraph(prose: string, limit: number): CheckedParagraph {
  const text = tidy(prose).replace(ANNOUNCEMENT, "").trim();
  if (text === "") {
    return { text, fault: "empty" };
  }
  if (ABOUT_ITSELF.test(text)) {
    return { text, fault: "about_itself" };
  }
  return { text, fault: text.length > limit ? "too_long" : null };
}

export function reasonsOf(paragraph: CheckedParagraph): string[] {
  return paragraph.fault === null ? [] : [PARAGRAPH_REASONS[paragraph.fault]];
}

/**
 * The prose to keep after the last question: one without fault, else one that is only too long, shortened at a sentence end.
 * Throws when neither answer has any.
 */
export function settleParagraph(candidates: readonly CheckedParagraph[], limit: number): string {
  const sound = candidates.find(({ fault }) => fault === null);
  if (sound !== undefined) {
    return sound.text;
  }
  const long = candidates.find(({ fault }) => fault === "too_long");
  if (long === undefined) {
    throw new RecipeError("invalid_summary", "The model gave no usable summary, not even when asked again.");
  }
  return shorten(long.text, limit);
}

function checkKeyPoint(
  point: ChapterAnswer["keyPoints"][number],
  source: QuotationSource,
): KeyPoint | string {
  const statement = checkParagraph(point.statement, LIMITS.statementLength);
  if (statement.fault !== null) {
    return statement.fault === "about_itself"
      ? "its statement speaks about you or the task"
      : `its statement is ${statement.fault === "empty" ? "empty" : "too long"}`;
  }
  if (point.quote.length > LIMITS.quoteLength) {
    return "its quote is too long; quote at most 40 words";
  }
  const finding = source.index.examine(point.quote);
  if (finding.kind !== "located") {
    return QUOTATION_REASONS[finding.kind];
  }
  const start = source.part.start + finding.start;
  const end = source.part.start + finding.end;
  const quote = source.chapter.text.slice(start, end);
  return {
    statement: statement.text.replace(/\s+/gu, " "),
    evidence: { chapterId: source.chapter.id, start, end, quote },
  };
}

function saysTheSame(one: KeyPoint, other: KeyPoint): boolean {
  const overlap = one.evidence.start < other.evidence.end && other.evidence.start < one.evidence.end;
  return overlap || one.statement.toLowerCase() === other.statement.toLowerCase();
}

function inOrder(points: readonly KeyPoint[]): KeyPoint[] {
  return points.toSorted((one, other) => one.evidence.start - other.evidence.start);
}

/** Paragraphs apart by one empty line, words by one space. */
function tidy(prose: string): string {
  return prose
    .split(/\n\s*\n/u)
    .map((paragraph) => paragraph.replace(/\s+/gu, " ").trim())
    .filter((paragraph) => paragraph !== "")
    .join("\n\n");
}

function shorten(text: string, limit: number): string {
  const findSentences = createSentenceFinder(null);
  const ends = findParagraphs(text).flatMap((paragraph) =>
    findSentences(text, paragraph).map(({ end }) => end),
  );
  const end = ends.findLast((candidate) => candidate <= limit);
  return end === undefined ? `${text.slice(0, limit - 1).trimEnd()}\u2026` : text.slice(0, end);
}
