import { beforeEach, describe, expect, test } from "@jest/globals";
import { Breaker, type BreakerState } from "../../src/redis/circuit-breaker.ts";

let now: number;
let breaker: Breaker;
let changes: BreakerState[];

beforeEach(() => {
  now = Date.UTC(2026, 0, 1);
  breaker = new Breaker(() => now);
  breaker.probing();
  breaker.probePassed();
  changes = [];
  breaker.onChange((state) => changes.push(state));
});

describe("a circuit breaker", () => {
  test("is open until a probe passes", () => {
    const fresh = new Breaker(() => now);
    expect(fresh.snapshot()).toMatchObject({ state: "open", opens: 0, openedAt: new Date(now) });
    fresh.probing();
    expect(fresh.state).toBe("half-open");
    fresh.probePassed();
    expect(fresh.snapshot()).toMatchObject({ state: "closed", openedAt: null });
  });

  test("opens after one time-out", () => {
    now += 7;
    breaker.timedOut("late");
    expect(breaker.snapshot()).toEqual({
      state: "open",
      opens: 1,
      lastError: "late",
      openedAt: new Date(now),
      timeouts: 1,
      errors: 0,
      refusal: null,
    });
  });

  test("opens after three errors in a row, and not when answers come between them", () => {
    for (let i = 0; i < 5; i++) {
      breaker.erred("one");
      breaker.erred("two");
      breaker.answered();
    }
    breaker.erred("one");
    breaker.erred("two");
    breaker.refused("OOM");
    expect(breaker.state).toBe("closed");
    breaker.erred("one");
    breaker.erred("two");
    breaker.erred("three");
    expect(breaker.snapshot()).toMatchObject({ state: "open", lastError: "three", errors: 15 });
  });

  test("stays closed through any number of refusals, and remembers the last for a minute", () => {
    for (let i = 0; i < 10; i++) breaker.refused("READONLY");
    breaker.refused("OOM");
    expect(breaker.snapshot()).toMatchObject({ state: "closed", lastError: "OOM", refusal: "OOM" });
    now += 59_999;
    expect(breaker.snapshot().refusal).toBe("OOM");
    now += 1;
    expect(breaker.snapshot()).toMatchObject({ lastError: "OOM", refusal: null });
  });

  test("opens once for all that fails while it is not closed", () => {
    breaker.timedOut("first");
    breaker.timedOut("second");
    breaker.open("lost");
    breaker.probing();
    breaker.timedOut("third");
    for (let i = 0; i < 3; i++) breaker.erred("error");
    expect(breaker.snapshot()).toMatchObject({ state: "half-open", opens: 1, timeouts: 3, errors: 3 });
  });

  test("is open again when a probe fails, and since the same time", () => {
    breaker.timedOut("late");
    const openedAt = new Date(now);
    now += 5_000;
    breaker.probing();
    breaker.probeFailed("still late");
    expect(breaker.snapshot()).toMatchObject({ state: "open", opens: 1, lastError: "still late", openedAt });
  });

  test("starts to count anew after a probe passed", () => {
    breaker.erred("one");
    breaker.erred("two");
    breaker.open("lost");
    breaker.probing();
    breaker.probePassed();
    breaker.erred("three");
    expect(breaker.state).toBe("closed");
  });

  test("tells its listeners of changes and of nothing else, until they leave", () => {
    const leave = breaker.onChange((state) => changes.push(state));
    leave();
    breaker.answered();
    breaker.erred("error");
    breaker.timedOut("late");
    breaker.timedOut("late");
    breaker.probing();
    breaker.probeFailed("late");
    breaker.probing();
    breaker.probePassed();
    expect(changes).toEqual(["open", "half-open", "open", "half-open", "closed"]);
  });
});
