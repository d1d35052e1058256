import type { Chapter, ChapterOutline } from "../src/book.ts";
import { newId } from "../src/ids.ts";
import type { Run } from "../src/run.ts";
import type { NewStep, Step } from "../src/step.ts";
import { queuedRun } from "../src/submit-run.ts";

/** Chapters of a flat book. */
export function chapterOutlines(count: number): ChapterOutline[] {
  return Array.from({ length: count }, (_, index) => {
    const title = `Chapter ${index + 1}`;
    const id = `c${String(index + 1).padStart(4, "0")}`;
    return { id, index, title, path: [title], kind: "body", start: index * 100, length: 100 };
  });
}

export function chaptersOf(count: number): Chapter[] {
  return chapterOutlines(count).map((outline) => ({ ...outline, text: "x".repeat(100), notes: [] }));
}

export function someRun(change: Partial<Run> = {}): Run {
  const options = { maxCost: null, fresh: false };
  const request = { bookId: newId("book"), recipes: ["summary"], options, model: null };
  return { ...queuedRun("ada", request), ...change };
}

/** A planned step as it is stored. */
export function storedStep(step: NewStep, change: Partial<Step> = {}): Step {
  return {
    ...step,
    state: "pending",
    fence: 0,
    owner: null,
    leaseUntil: null,
    attempts: 0,
    crashes: 0,
    handbacks: 0,
    notBefore: new Date(0),
    dispatches: 0,
    dispatchedAt: null,
    error: null,
    postponed: null,
    resultId: null,
    reusedAnswers: 0,
    createdAt: new Date(0),
    startedAt: null,
    endedAt: null,
    ...change,
  };
}
