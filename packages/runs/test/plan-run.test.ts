import { describe, expect, test } from "@jest/globals";
import { chaptersToProcess, planRun, ROOT_UNIT } from "../src/plan-run.ts";
import { chapterOutlines, someRun } from "./samples.ts";

describe("the plan of a run", () => {
  test("has a step for each chapter of the body and leaves front and back matter out", () => {
    const outlines = chapterOutlines(4).map((outline, at) => ({
      ...outline,
      kind: at === 0 ? ("front" as const) : ("body" as const),
    }));
    const plan = planRun(someRun(), outlines);
    expect(plan.filter((step) => step.kind === "chapter").map((step) => step.unit)).toEqual(["1", "2", "3"]);
  });

  test("takes every chapter when the book names no body", () => {
    const outlines = chapterOutlines(2).map((outline) => ({ ...outline, kind: "front" as const }));
    expect(chaptersToProcess(outlines)).toHaveLength(2);
  });

  test("leaves chapters without text out", () => {
    const outlines = chapterOutlines(3).map((outline, at) => ({ ...outline, length: at === 1 ? 0 : 100 }));
    expect(chaptersToProcess(outlines).map((outline) => outline.index)).toEqual([0, 2]);
  });

  test("is the same whoever makes it", () => {
    const run = someRun();
    expect(planRun(run, chapterOutlines(65))).toEqual(planRun(run, chapterOutlines(65)));
  });

  test.each([1, 2, 12, 13, 65, 145, 2014])(
    "merges %i chapters into one root, at most twelve at a time",
    (count) => {
      const plan = planRun(someRun(), chapterOutlines(count));
      const merges = plan.filter((step) => step.kind === "merge");
      expect(merges.filter((step) => step.unit === ROOT_UNIT)).toHaveLength(1);
      expect(Math.max(...merges.map((step) => step.inputs.length))).toBeLessThanOrEqual(12);
      const read = merges.flatMap((step) => step.inputs);
      expect(new Set(read).size).toBe(read.length);
      expect(read).toHaveLength(count + merges.length - 1);
    },
  );

  test.each([1, 3, 40, 400])("puts every step of %i chapters after its inputs", (count) => {
    const seen = new Set<string>();
    for (const step of planRun(someRun(), chapterOutlines(count))) {
      for (const input of step.inputs) expect(seen).toContain(input);
      seen.add(step.id);
    }
  });

  test("keeps the chapters of a part together", () => {
    const outlines = chapterOutlines(20).map((outline) => {
      const part = outline.index < 9 ? "Part One" : "Part Two";
      return { ...outline, path: [part, outline.title] };
    });
    const merges = planRun(someRun(), outlines).filter((step) => step.unit.startsWith("1."));
    expect(merges.map((step) => step.inputs.length)).toEqual([9, 11]);
  });

  test("gives each recipe a tree of its own and all of them one finish", () => {
    const plan = planRun({ ...someRun(), recipes: ["summary", "quiz"] }, chapterOutlines(3));
    expect(plan.filter((step) => step.unit === ROOT_UNIT).map((step) => step.recipe)).toEqual([
      "summary",
      "quiz",
    ]);
    expect(plan.at(-1)?.kind).toBe("finish");
    expect(plan.at(-1)?.inputs).toHaveLength(plan.length - 1);
  });

  test("is only a finish for a book without text", () => {
    expect(planRun(someRun(), []).map((step) => step.kind)).toEqual(["finish"]);
  });
});
