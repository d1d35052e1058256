import { describe, expect, test } from "@jest/globals";
import { type ChangeBegun, History } from "./history.ts";

const BOUND_MS = 100;
const LIFE_MS = 1_000;
const NAME = "plain/ann/1";

/** A history in which `one` changes a value to 2 at 10, which comes back at 20 and is settled at 50. */
function openHistory(change: Partial<ChangeBegun> = {}): History {
  const history = new History({ boundMs: BOUND_MS, lifeMs: LIFE_MS });
  const editions = [{ name: NAME, edition: 2 }];
  const begun = {
    kind: "change",
    number: 1,
    at: 10,
    way: "delete",
    stores: false,
    graceMs: 0,
    editions,
  } as const;
  history.add("one", { ...begun, ...change });
  history.add("one", { kind: "resolved", number: 1, at: 20 });
  history.add("one", { kind: "settled", number: 1, at: 50 });
  return history;
}

function violationsOf(history: History, by: string, edition: number, at: number): readonly string[] {
  history.add(by, { kind: "read", name: NAME, edition, way: "get", at, endedAt: at + 1 });
  history.judge(Number.POSITIVE_INFINITY);
  return history.violations;
}

describe("the model of the soak", () => {
  test("lets another process be served what was changed until the bound is over", () => {
    expect(violationsOf(openHistory(), "other", 1, 149)).toEqual([]);
  });

  test("does not let it be served after that, and tells what happened to the value", () => {
    const [violation] = violationsOf(openHistory(), "other", 1, 151);
    expect(violation).toContain("plain/ann/1: other was served 1");
    expect(violation).toContain("one changes it to 2 by delete");
  });

  test("does not let a process be served what it has changed itself", () => {
    expect(violationsOf(openHistory(), "one", 1, 21)).toHaveLength(1);
    expect(violationsOf(openHistory(), "one", 1, 19)).toEqual([]);
  });

  test("adds the grace of what was only made to expire", () => {
    expect(violationsOf(openHistory({ graceMs: 40 }), "other", 1, 189)).toEqual([]);
    expect(violationsOf(openHistory({ graceMs: 40 }), "other", 1, 191)).toHaveLength(1);
  });

  test("waits for a change that is not settled, and for what a dead process left", () => {
    const history = new History({ boundMs: BOUND_MS, lifeMs: LIFE_MS });
    const editions = [{ name: NAME, edition: 2 }];
    history.add("one", {
      kind: "change",
      number: 1,
      at: 10,
      way: "delete",
      stores: false,
      graceMs: 0,
      editions,
    });
    expect(violationsOf(history, "other", 1, 5_000)).toEqual([]);
    history.died("one", 20);
    expect(violationsOf(history, "other", 1, 1_119)).toEqual([]);
    expect(violationsOf(history, "other", 1, 1_121)).toHaveLength(1);
  });

  test("lets be served what somebody is storing still", () => {
    const history = openHistory();
    const editions = [{ name: NAME, edition: 1 }];
    history.add("slow", { kind: "change", number: 1, at: 5, way: "set", stores: true, graceMs: 0, editions });
    expect(violationsOf(history, "other", 1, 500)).toEqual([]);
  });

  test("forgets what no longer matters, and judges on", () => {
    const history = openHistory();
    history.judge(400);
    expect(violationsOf(history, "other", 1, 500)).toHaveLength(1);
  });
});
