import { cutText } from "../cut-text.ts";
import { countWords, type Span } from "../quotation.ts";
import type { Ask, ChapterTask } from "../recipe.ts";
import { RecipeError } from "../recipe-error.ts";
import { checkChapterAnswer, createQuotationSource, joinKeyPoints, settleParagraph } from "./checks.ts";
import { LIMITS } from "./limits.ts";
import { mergeSummaries } from "./merge-summaries.ts";
import { type ChapterPiece, chapterQuestion, repairQuestion } from "./prompt.ts";
import { type ChapterSummary, EMPTY_NOTE } from "./values.ts";

/**
 * Summarises one chapter: one question per part of it, at most one repair question each, and one more question that merges the
 * parts of a long chapter. Questions are asked one after the other, so that an error stops the spending.
 */
export async function summariseChapter(task: ChapterTask, ask: Ask): Promise<ChapterSummary> {
  const { chapter, book } = task;
  const parts = cutText(chapter.text, LIMITS.partLength, book.language).filter(
    ({ start, end }) => countWords(chapter.text.slice(start, end), LIMITS.minWords) >= LIMITS.minWords,
  );
  const summaries: ChapterSummary[] = [];
  for (const [index, span] of parts.entries()) {
    summaries.push(await summarisePart(task, { span, part: index + 1, parts: parts.length }, ask));
  }
  const [first] = summaries;
  if (first === undefined) {
    const note = chapter.text.trim() === "" ? EMPTY_NOTE : "The text is too short to be summarised.";
    return {
      kind: "chapter",
      method: "model",
      paragraph: "",
      keyPoints: [],
      droppedPoints: 0,
      parts: 0,
      note,
    };
  }
  if (summaries.length === 1) {
    return first;
  }
  const children = summaries.map((value, index) => ({
    title: `Part ${index + 1} of ${summaries.length}`,
    value,
  }));
  const merged = await mergeSummaries({ book, title: chapter.title, whole: false }, children, ask);
  return {
    kind: "chapter",
    method: "model",
    paragraph: merged.paragraph,
    keyPoints: merged.keyPoints,
    droppedPoints: summaries.reduce((sum, { droppedPoints }) => sum + droppedPoints, merged.droppedPoints),
    parts: summaries.length,
    note: null,
  };
}

async function summarisePart(
  task: ChapterTask,
  place: { readonly span: Span; readonly part: number; readonly parts: number },
  ask: Ask,
): Promise<ChapterSummary> {
  const { chapter, book } = task;
  const piece: ChapterPiece = {
    path: chapter.path.length === 0 ? [chapter.title] : chapter.path,
    text: chapter.text.slice(place.span.start, place.span.end),
    part: place.part,
    parts: place.parts,
  };
  const question = chapterQuestion(book, piece);
  const answer = await ask(question);
  // After the call: it takes milliseconds of the processor, in which no call would be sent.
  const source = createQuotationSource(chapter, place.span);
  const first = checkChapterAnswer(answer, source);
  const second =
    first.reasons.length === 0
      ? null
      : checkChapterAnswer(await ask(repairQuestion(question, answer, first.reasons)), source);

  const { keyPoints, dropped } = joinKeyPoints(first, second);
  if (keyPoints.length === 0) {
    throw new RecipeError(
      "no_verified_points",
      "None of the model's key points could be shown in the chapter, not even when asked again.",
    );
  }
  const paragraphs = second === null ? [first.paragraph] : [first.paragraph, second.paragraph];
  return {
    kind: "chapter",
    method: "model",
    paragraph: settleParagraph(paragraphs, LIMITS.chapter.paragraphLength),
    keyPoints: [...keyPoints],
    droppedPoints: dropped,
    parts: 1,
    note: null,
  };
}
