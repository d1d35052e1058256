import { groupsOf } from "../groups.ts";
import type { Ask } from "../recipe.ts";
import { checkParagraph, reasonsOf, settleParagraph } from "./checks.ts";
import { pointLimit, readChoice, settleChoice } from "./choose-points.ts";
import { LIMITS } from "./limits.ts";
import { type MergeSubject, mergeQuestion, repairQuestion } from "./prompt.ts";
import type { MergeAnswer } from "./schema.ts";
import { EMPTY_NOTE, type MergedSummary, measureCoverage, type Summary } from "./values.ts";

interface Child {
  readonly title: string;
  readonly value: Summary;
}

/**
 * Joins summaries into one: a question, at most one repair question. Key points are chosen by id, so their evidence stays verbatim.
 * More than 12 children are joined in groups first; children without content are left out; a single one is taken as it is, unasked.
 */
export async function mergeSummaries(
  subject: MergeSubject,
  children: readonly Child[],
  ask: Ask,
): Promise<MergedSummary> {
  const withContent = children.filter(({ value }) => value.paragraph !== "");
  const joined = withContent.length <= 1 ? passOn(withContent) : await joinLevels(subject, withContent, ask);
  const coverage = measureCoverage(
    children.map(({ value }) => value),
    joined.keyPoints,
  );
  return { kind: "merge", method: "model", ...joined, coverage };
}

type Joined = Pick<MergedSummary, "paragraph" | "keyPoints" | "droppedPoints" | "note">;

function passOn(children: readonly Child[]): Joined {
  const value = children[0]?.value;
  return value === undefined
    ? { paragraph: "", keyPoints: [], droppedPoints: 0, note: EMPTY_NOTE }
    : { paragraph: value.paragraph, keyPoints: value.keyPoints, droppedPoints: 0, note: value.note };
}

async function joinLevels(subject: MergeSubject, children: readonly Child[], ask: Ask): Promise<Joined> {
  if (children.length <= LIMITS.fanIn) {
    return await joinOnce(subject, children, ask);
  }
  const above: Child[] = [];
  let droppedPoints = 0;
  for (const group of groupsOf(children, LIMITS.fanIn)) {
    const title = `${group[0]?.title ?? ""} to ${group.at(-1)?.title ?? ""}`;
    const value = await mergeSummaries({ ...subject, title, whole: false }, group, ask);
    droppedPoints += value.droppedPoints;
    above.push({ title, value });
  }
  const joined = await joinLevels(subject, above, ask);
  return { ...joined, droppedPoints: joined.droppedPoints + droppedPoints };
}

async function joinOnce(subject: MergeSubject, children: readonly Child[], ask: Ask): Promise<Joined> {
  const values = children.map(({ value }) => value);
  const limit = (subject.whole ? LIMITS.whole : LIMITS.merge).paragraphLength;
  const read = (answer: MergeAnswer) => {
    const paragraph = checkParagraph(answer.paragraph, limit);
    const choice = readChoice(answer, values);
    return { paragraph, choice, reasons: [...reasonsOf(paragraph), ...choice.reasons] };
  };

  const question = mergeQuestion(subject, children);
  const answer = await ask(question);
  const first = read(answer);
  const second =
    first.reasons.length === 0 ? null : read(await ask(repairQuestion(question, answer, first.reasons)));
  const choice = second === null || second.choice.chosen.length === 0 ? first.choice : second.choice;
  return {
    paragraph: settleParagraph(
      second === null ? [first.paragraph] : [second.paragraph, first.paragraph],
      limit,
    ),
    keyPoints: settleChoice(choice, values, pointLimit(subject.whole)),
    droppedPoints: choice.unknown,
    note: null,
  };
}
