import { describe, expect, test } from "@jest/globals";
import type { Book } from "../src/book.ts";
import { decideRun, type RunSituation } from "../src/decide-run.ts";
import { planRun } from "../src/plan-run.ts";
import { NO_USAGE, type Run } from "../src/run.ts";
import type { Step, StepState } from "../src/step.ts";
import { chapterOutlines, someRun, storedStep } from "./samples.ts";

const readyBook: Book = {
  id: "book_1",
  user: "ada",
  status: "ready",
  sha256: "00",
  bytes: 1,
  format: "epub",
  fileName: null,
  title: null,
  authors: [],
  language: null,
  chapters: 2,
  characters: 200,
  warnings: [],
  edition: 1,
  error: null,
  createdAt: new Date(0),
  readyAt: new Date(0),
  deletedAt: null,
  revision: 1,
};

/** A run of two chapters whose first steps of the plan are in the given states; the rest is not there yet. */
function situation(
  states: readonly StepState[],
  change: Partial<RunSituation> & { run?: Run } = {},
): RunSituation {
  const run = change.run ?? someRun({ status: "running", runningAt: new Date(0) });
  const plan = planRun(run, chapterOutlines(2));
  const steps: Step[] = states.map((state, at) => {
    const step = plan[at];
    if (!step) throw new Error("more states than steps");
    return storedStep(step, { state, fence: state === "pending" ? 0 : 1 });
  });
  return { run, book: readyBook, plan, steps, spent: NO_USAGE, ...change };
}

const kinds = (made: RunSituation) => decideRun(made).insert.map((step) => step.kind);

describe("what a run does next", () => {
  test("waits while its book is being parsed", () => {
    const waiting = situation([], { book: { ...readyBook, status: "parsing" }, plan: [] });
    expect(decideRun(waiting)).toEqual({ insert: [], cancelPending: false, change: null });
  });

  test("fails with the book's reason when the book is refused", () => {
    const error = { code: "drm_protected", detail: "The book is encrypted." };
    const { change } = decideRun(
      situation([], { book: { ...readyBook, status: "refused", error }, plan: [] }),
    );
    expect(change).toMatchObject({ status: "failed", error, stage: "done", failedAt: expect.any(Date) });
  });

  test("fans out to its chapters and to nothing above them", () => {
    expect(kinds(situation([]))).toEqual(["chapter", "chapter"]);
  });

  test("inserts only what a kill in the middle of a fan-out left out", () => {
    expect(decideRun(situation(["done"])).insert.map((step) => step.unit)).toEqual(["1"]);
  });

  test("merges once all inputs have ended", () => {
    expect(kinds(situation(["done", "running"]))).toEqual([]);
    expect(kinds(situation(["done", "done"]))).toEqual(["merge"]);
    expect(kinds(situation(["done", "failed"]))).toEqual(["merge"]);
  });

  test("skips a merge of which every input came to nothing", () => {
    expect(kinds(situation(["failed", "dead"]))).toEqual(["finish"]);
  });

  test("finishes after the last merge", () => {
    expect(kinds(situation(["done", "done", "done"]))).toEqual(["finish"]);
  });

  test("counts chapters and merges, and calls what ended without a result failed", () => {
    const { change } = decideRun(situation(["done", "failed", "running"]));
    expect(change?.counts).toEqual({ total: 3, completed: 1, failed: 1 });
    expect(change?.stage).toBe("merging");
  });

  test("succeeds when every step is done", () => {
    const { change } = decideRun(situation(["done", "done", "done", "done"]));
    expect(change).toMatchObject({ status: "succeeded", stage: "done", failures: [], error: null });
  });

  test("is partial and names what is missing when something is done and something failed", () => {
    const made = situation(["done", "failed", "done", "done"]);
    const { change } = decideRun(made);
    expect(change).toMatchObject({ status: "partial", error: null });
    expect(change?.failures).toEqual([
      expect.objectContaining({ step: made.plan[1]?.id, unit: "Chapter 2" }),
    ]);
  });

  test("is partial when only the finish could not be done", () => {
    expect(decideRun(situation(["done", "done", "done", "dead"])).change?.status).toBe("partial");
  });

  test("fails, with the first reason, when nothing is done", () => {
    const made = situation(["failed", "failed"]);
    const finish = made.plan.at(-1);
    if (!finish) throw new Error("no finish");
    const error = { code: "model_refused", detail: "The model refused." };
    const steps = [
      ...made.steps.map((step) => ({ ...step, error })),
      storedStep(finish, { state: "done", fence: 1 }),
    ];
    expect(decideRun({ ...made, steps }).change).toMatchObject({
      status: "failed",
      error: { code: "model_refused", detail: expect.stringContaining("The model refused.") },
    });
  });

  test("cancels what waits before it is cancelled itself", () => {
    const run = someRun({ status: "cancelling", cancellingAt: new Date(0) });
    expect(decideRun(situation(["done", "pending"], { run }))).toMatchObject({
      cancelPending: true,
      change: null,
    });
    expect(decideRun(situation(["done", "running"], { run }))).toMatchObject({
      cancelPending: false,
      change: null,
    });
    expect(decideRun(situation(["done", "cancelled"], { run })).change?.status).toBe("cancelled");
  });

  test("takes up what waits once its inputs have ended, and not before", () => {
    expect(kinds(situation(["done", "waiting", "waiting", "waiting"]))).toEqual(["chapter"]);
    expect(kinds(situation(["done", "running", "waiting", "waiting"]))).toEqual([]);
    expect(kinds(situation(["done", "done", "waiting", "waiting"]))).toEqual(["merge"]);
    expect(decideRun(situation(["done", "done", "waiting", "waiting"])).change?.status).not.toBe("partial");
  });

  test("inserts nothing more once it is being cancelled", () => {
    const run = someRun({ status: "cancelling", cancellingAt: new Date(0) });
    expect(kinds(situation(["done", "done"], { run }))).toEqual([]);
  });

  test("is cancelled when its book was deleted", () => {
    expect(decideRun(situation([], { book: null, plan: [] })).change?.status).toBe("cancelled");
  });

  test("stays as it is once it has ended", () => {
    for (const status of ["succeeded", "partial", "failed", "cancelled"] as const) {
      const made = situation(["pending"], { run: someRun({ status }) });
      expect(decideRun(made)).toEqual({ insert: [], cancelPending: false, change: null });
    }
  });

  test("writes nothing when nothing changed", () => {
    const first = situation(["done", "running"]);
    const { change } = decideRun(first);
    const { change: again } = decideRun({ ...first, run: { ...first.run, ...change } as Run });
    expect(again).toBeNull();
  });
});
