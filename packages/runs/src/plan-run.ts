import type { ChapterOutline } from "./book.ts";
import type { Run } from "./run.ts";
import type { NewStep } from "./step.ts";

/** Results that one merge reads at most. */
export const MERGE_FAN_IN = 12;

/** The unit of the merge at the root of a recipe's tree. */
export const ROOT_UNIT = "book";

/** Chapters a run works on: the body; everything when the book names no body. */
export function chaptersToProcess(outlines: readonly ChapterOutline[]): readonly ChapterOutline[] {
  const readable = outlines.filter((outline) => outline.length > 0);
  const body = readable.filter((outline) => outline.kind === "body");
  return body.length > 0 ? body : readable;
}

/**
 * All steps that a run will ever have, in an order in which each comes after its inputs: a step per chapter and recipe, the
 * merge tree of each recipe (chapter → part → … → book), and the finish. Depends on the run and the outlines only, so any
 * process that plans a run plans the same.
 */
export function planRun(run: Run, outlines: readonly ChapterOutline[]): readonly NewStep[] {
  const chapters = chaptersToProcess(outlines);
  const steps = run.recipes.flatMap((recipe) => planRecipe(run, recipe, chapters));
  const finish = newStep(run, {
    id: `${run.id}.finish`,
    kind: "finish",
    title: "finish",
    inputs: steps.map((step) => step.id),
  });
  return [...steps, finish];
}

function planRecipe(run: Run, recipe: string, chapters: readonly ChapterOutline[]): NewStep[] {
  const leaves = chapters.map((chapter) =>
    newStep(run, {
      id: `${run.id}.${recipe}.chapter.${number(chapter.index)}`,
      kind: "chapter",
      recipe,
      unit: String(chapter.index),
      title: chapter.title,
    }),
  );
  const parts = new Map(leaves.map((leaf, at) => [leaf.id, chapters[at]?.path[0] ?? ""]));
  const steps = [...leaves];
  let level = leaves;
  for (let height = 1; level.length > 1 || height === 1; height++) {
    const groups = groupForMerge(level, (step) => parts.get(step.id) ?? "");
    level = groups.map((group, at) => {
      const whole = groups.length === 1;
      const merge = newStep(run, {
        id: `${run.id}.${recipe}.merge.${height}.${number(at)}`,
        kind: "merge",
        recipe,
        unit: whole ? ROOT_UNIT : `${height}.${at}`,
        title: whole ? "the whole book" : titleOfGroup(group),
        inputs: group.map((step) => step.id),
      });
      parts.set(merge.id, parts.get(group[0]?.id ?? "") ?? "");
      return merge;
    });
    steps.push(...level);
    if (level.length === 0) break;
  }
  return steps;
}

/**
 * Neighbours of one part stay together where that shrinks the level by half or more, else neighbours as they come. Either
 * way each level is at most half as long as the one below it, so the tree always ends in one node.
 */
function groupForMerge(level: readonly NewStep[], partOf: (step: NewStep) => string): NewStep[][] {
  const byPart: NewStep[][] = [];
  for (const step of level) {
    const last = byPart.at(-1);
    const first = last?.[0];
    if (last && first && partOf(first) === partOf(step) && last.length < MERGE_FAN_IN) last.push(step);
    else byPart.push([step]);
  }
  if (byPart.length <= level.length / 2) return byPart;
  const even: NewStep[][] = [];
  for (let at = 0; at < level.length; at += MERGE_FAN_IN) even.push(level.slice(at, at + MERGE_FAN_IN));
  return even;
}

function titleOfGroup(group: readonly NewStep[]): string {
  return group.length === 1 ? (group[0]?.title ?? "") : `${group[0]?.title} to ${group.at(-1)?.title}`;
}

function newStep(run: Run, step: Pick<NewStep, "id" | "kind" | "title"> & Partial<NewStep>): NewStep {
  return { user: run.user, bookId: run.bookId, runId: run.id, recipe: null, unit: "", inputs: [], ...step };
}

function number(value: number): string {
  return String(value).padStart(4, "0");
}
