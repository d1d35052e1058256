import { describe, expect, test } from "@jest/globals";
import { MERGE_FAN_IN, planRun } from "../src/plan-run.ts";
import { stepsToRepeat } from "../src/retry-run.ts";
import type { StepState } from "../src/step.ts";
import { chapterOutlines, someRun, storedStep } from "./samples.ts";

const CHAPTERS = 2 * MERGE_FAN_IN;
const plan = planRun(someRun(), chapterOutlines(CHAPTERS));

/** Units of what is repeated when the steps that are named ended so and all others are done. */
function repeated(states: Record<string, StepState>, missing: readonly string[] = []): string[] {
  const steps = plan
    .filter((step) => !missing.includes(step.unit))
    .map((step) => storedStep(step, { state: states[step.unit] ?? "done" }));
  const ids = stepsToRepeat(steps);
  return plan.filter((step) => ids.includes(step.id)).map((step) => step.unit || step.kind);
}

describe("a retry of a run", () => {
  test("repeats nothing of a run in which everything is done", () => {
    expect(repeated({})).toEqual([]);
  });

  test.each<[StepState]>([["failed"], ["dead"], ["cancelled"], ["waiting"]])(
    "repeats a chapter that is %s, and every merge above it",
    (state) => {
      expect(repeated({ 3: state })).toEqual(["3", "1.0", "book", "finish"]);
    },
  );

  test("keeps the chapters below a merge that failed", () => {
    expect(repeated({ "1.1": "failed" })).toEqual(["1.1", "book", "finish"]);
  });

  test("repeats what was made while one of its inputs never came to be", () => {
    const lost = Object.fromEntries(
      chapterOutlines(MERGE_FAN_IN).map(({ index }) => [index, "failed" as const]),
    );
    expect(repeated(lost, ["1.0"])).toEqual([...Object.keys(lost), "book", "finish"]);
  });
});
