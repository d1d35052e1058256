import { describe, expect, test } from "@jest/globals";
import { waitFor } from "@mythic/testing/wait";
import type { WakeUp, WakeUpOutcome, WakeUps } from "../../src/wake-ups.ts";
import { timed } from "./timed.ts";

const DONE: WakeUpOutcome = { state: "done" };

export function wakeUp(stepId: string, changes: Partial<WakeUp> = {}): WakeUp {
  return {
    stepId,
    dispatch: 1,
    kind: "chapter",
    recipe: "summary",
    bookId: "book_1",
    runId: "run_1",
    priority: 1,
    ...changes,
  };
}

const steps = (count: number) => Array.from({ length: count }, (_, index) => wakeUp(`step.${index}`));

/** Handlers that wait until they are let go. */
function gate() {
  const started: string[] = [];
  const { promise: opened, resolve: open } = Promise.withResolvers<void>();
  const handler = async (stepId: string): Promise<WakeUpOutcome> => {
    started.push(stepId);
    await opened;
    return DONE;
  };
  return { started, handler, open };
}

/** What every implementation of `WakeUps` keeps to. `open` gives one with nothing in it. */
export function describeWakeUps(name: string, open: () => Promise<WakeUps>): void {
  describe(name, () => {
    describeDelivery(open);
    describeClosing(open);
  });
}

function describeDelivery(open: () => Promise<WakeUps>): void {
  test("delivers each wake-up once when nothing goes wrong", async () => {
    await using wakeUps = await open();
    const delivered: string[] = [];
    wakeUps.listen(async (stepId) => {
      delivered.push(stepId);
      return DONE;
    }, 4);
    const wanted = steps(50);
    await wakeUps.wake(wanted);
    await waitFor(() => delivered.length >= 50);
    // One that is sent later comes later, so a second delivery of the others would have been seen by then.
    await wakeUps.wake([wakeUp("last", { priority: 1_000 })]);
    await waitFor(() => delivered.includes("last"));
    expect(delivered.toSorted()).toEqual([...wanted.map(({ stepId }) => stepId), "last"].toSorted());
  });

  test("delivers what was woken before anyone listened", async () => {
    await using wakeUps = await open();
    await wakeUps.wake(steps(3));
    const { started, handler, open: letGo } = gate();
    wakeUps.listen(handler, 3);
    await waitFor(() => started.length === 3);
    letGo();
  });

  test("delivers lower priorities first, and equals in the order in which they came", async () => {
    await using wakeUps = await open();
    await wakeUps.wake([
      wakeUp("later", { priority: 2_097_151 }),
      wakeUp("second", { priority: 5 }),
      wakeUp("third", { priority: 5 }),
      wakeUp("first", { priority: 1 }),
      wakeUp("fourth", { priority: 5 }),
    ]);
    const delivered: string[] = [];
    wakeUps.listen(async (stepId) => {
      delivered.push(stepId);
      return DONE;
    }, 1);
    await waitFor(() => delivered.length === 5);
    expect(delivered).toEqual(["first", "second", "third", "fourth", "later"]);
  });

  test("has no more handlers at work than a listener wants, and as many as it wants", async () => {
    await using wakeUps = await open();
    let atWork = 0;
    let most = 0;
    let ended = 0;
    wakeUps.listen(async () => {
      atWork += 1;
      most = Math.max(most, atWork);
      await new Promise((resolve) => setTimeout(resolve, 5));
      atWork -= 1;
      ended += 1;
      return DONE;
    }, 3);
    await wakeUps.wake(steps(30));
    await waitFor(() => ended === 30);
    expect(most).toBe(3);
  });

  test("goes on after every kind of outcome, and after a handler that rejects", async () => {
    await using wakeUps = await open();
    const outcomes = new Map<string, WakeUpOutcome>([
      ["step.0", { state: "failed", error: "the model refused", log: ["asked", "refused"] }],
      ["step.1", { state: "skipped" }],
      ["step.2", { state: "done", log: ["asked"] }],
    ]);
    const delivered: string[] = [];
    wakeUps.listen(async (stepId) => {
      delivered.push(stepId);
      const outcome = outcomes.get(stepId);
      if (outcome === undefined) throw new Error("a defect");
      return outcome;
    }, 1);
    await wakeUps.wake(steps(4));
    await wakeUps.wake([wakeUp("step.2", { dispatch: 2 })]);
    await waitFor(() => delivered.length === 5);
    expect(delivered).toEqual(["step.0", "step.1", "step.2", "step.3", "step.2"]);
  });

  test("delivers a dispatch that was sent twice at least once and at most twice", async () => {
    await using wakeUps = await open();
    const delivered: string[] = [];
    await wakeUps.wake([wakeUp("twice")]);
    await wakeUps.wake([wakeUp("twice"), wakeUp("last", { priority: 9 })]);
    wakeUps.listen(async (stepId) => {
      delivered.push(stepId);
      return DONE;
    }, 1);
    await waitFor(() => delivered.includes("last"));
    const times = delivered.filter((stepId) => stepId === "twice").length;
    expect([1, 2]).toContain(times);
  });

  test("delivers every further dispatch of a step", async () => {
    await using wakeUps = await open();
    const delivered: string[] = [];
    wakeUps.listen(async (stepId) => {
      delivered.push(stepId);
      return DONE;
    }, 1);
    for (const dispatch of [1, 2, 3]) {
      await wakeUps.wake([wakeUp("again", { dispatch })]);
      await waitFor(() => delivered.length === dispatch);
    }
    expect(delivered).toEqual(["again", "again", "again"]);
  });

  test("takes a thousand wake-ups, five hundred at once, and loses none", async () => {
    await using wakeUps = await open();
    const delivered = new Set<string>();
    wakeUps.listen(async (stepId) => {
      delivered.add(stepId);
      return DONE;
    }, 32);
    const wanted = steps(1_000);
    await wakeUps.wake(wanted.slice(0, 500));
    await wakeUps.wake(wanted.slice(500));
    await waitFor(() => delivered.size === 1_000);
  });

  test("takes an empty list of wake-ups", async () => {
    await using wakeUps = await open();
    await expect(wakeUps.wake([])).resolves.toBeUndefined();
  });

  test("shares the work among its listeners", async () => {
    await using wakeUps = await open();
    const { started, handler, open: letGo } = gate();
    wakeUps.listen(handler, 2);
    wakeUps.listen(handler, 3);
    await wakeUps.wake(steps(6));
    await waitFor(() => started.length === 5);
    letGo();
    await waitFor(() => started.length === 6);
  });

  test("wants wake-ups while someone listens", async () => {
    await using wakeUps = await open();
    wakeUps.listen(async () => DONE, 2);
    await waitFor(() => wakeUps.capacity() > 0);
  });
}

function describeClosing(open: () => Promise<WakeUps>): void {
  test("closing a listener waits for the handlers at work and takes no more", async () => {
    await using wakeUps = await open();
    const { started, handler, open: letGo } = gate();
    const listener = wakeUps.listen(handler, 2);
    await wakeUps.wake(steps(5));
    await waitFor(() => started.length === 2);
    let closed = false;
    const closing = listener.close().then(() => {
      closed = true;
    });
    // A listener that did not wait would be closed by the time another one has done the rest.
    const rest: string[] = [];
    wakeUps.listen(async (stepId) => {
      rest.push(stepId);
      return DONE;
    }, 1);
    await waitFor(() => rest.length === 3);
    expect(closed).toBe(false);
    letGo();
    await closing;
    expect(started).toHaveLength(2);
  });

  test("what a closed listener left is delivered to the next one", async () => {
    await using wakeUps = await open();
    const first = gate();
    const listener = wakeUps.listen(first.handler, 1);
    await wakeUps.wake(steps(3));
    await waitFor(() => first.started.length === 1);
    const closing = listener.close();
    first.open();
    await closing;
    const next = gate();
    wakeUps.listen(next.handler, 2);
    await waitFor(() => next.started.length === 2);
    next.open();
    expect([...first.started, ...next.started].toSorted()).toEqual(["step.0", "step.1", "step.2"]);
  });

  test("closing a listener twice, or one that never worked, is fine", async () => {
    await using wakeUps = await open();
    const listener = wakeUps.listen(async () => DONE, 1);
    await listener.close();
    await listener.close();
  });

  test("closing it all waits for the handlers at work; then waking and listening are refused", async () => {
    const wakeUps = await open();
    const { started, handler, open: letGo } = gate();
    wakeUps.listen(handler, 1);
    await wakeUps.wake(steps(1));
    await waitFor(() => started.length === 1);
    const closing = wakeUps[Symbol.asyncDispose]();
    await expect(wakeUps.wake([wakeUp("late")])).rejects.toThrow("closed");
    expect(() => wakeUps.listen(handler, 1)).toThrow("closed");
    expect(wakeUps.capacity()).toBe(0);
    letGo();
    const { ms } = await timed(async () => await closing);
    expect(ms).toBeLessThan(10_000);
    await expect(wakeUps.wake([wakeUp("late")])).rejects.toThrow("closed");
    await expect(wakeUps.wasWiped()).resolves.toBe(false);
  });
}
