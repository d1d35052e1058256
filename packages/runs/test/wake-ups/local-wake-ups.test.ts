import { describe, expect, test } from "@jest/globals";
import { waitFor } from "@mythic/testing/wait";
import { openLocalWakeUps, openWakeUps } from "../../src/wake-ups/open-wake-ups.ts";
import type { WakeUpOutcome } from "../../src/wake-ups.ts";
import { describeWakeUps, wakeUp } from "./wake-ups.suite.ts";

describeWakeUps("the wake-ups of one process", async () => openLocalWakeUps());

describe("the wake-ups of one process, in particular", () => {
  test("no Redis configured opens them", async () => {
    await using wakeUps = await openWakeUps({ queueRedisUrl: null });
    expect(wakeUps.kind).toBe("local");
  });

  test("a process takes only what it can work on at once", async () => {
    await using wakeUps = openLocalWakeUps();
    expect(wakeUps.capacity()).toBe(0);
    const { promise: opened, resolve: open } = Promise.withResolvers<WakeUpOutcome>();
    wakeUps.listen(() => opened, 3);
    expect(wakeUps.capacity()).toBe(3);
    await wakeUps.wake([wakeUp("a"), wakeUp("b")]);
    expect(wakeUps.capacity()).toBe(1);
    await wakeUps.wake([wakeUp("c"), wakeUp("d")]);
    expect(wakeUps.capacity()).toBe(0);
    open({ state: "done" });
    await waitFor(() => wakeUps.capacity() === 3);
  });

  test("tells of capacity when someone listens and when a slot became free, not when work waits for it", async () => {
    await using wakeUps = openLocalWakeUps();
    const seen: number[] = [];
    wakeUps.onCapacity(() => seen.push(wakeUps.capacity()));
    const ends: (() => void)[] = [];
    wakeUps.listen(() => new Promise((resolve) => ends.push(() => resolve({ state: "done" }))), 1);
    expect(seen).toEqual([1]);
    await wakeUps.wake([wakeUp("a"), wakeUp("b")]);
    ends.shift()?.();
    await waitFor(() => ends.length === 1);
    expect(seen).toEqual([1]);
    ends.shift()?.();
    await waitFor(() => seen.length === 2);
    expect(seen).toEqual([1, 1]);
  });

  test("is never wiped", async () => {
    await using wakeUps = openLocalWakeUps();
    await expect(wakeUps.wasWiped()).resolves.toBe(false);
  });

  test("closing drops what is still waiting", async () => {
    const wakeUps = openLocalWakeUps();
    const { promise: opened, resolve: open } = Promise.withResolvers<WakeUpOutcome>();
    const started: string[] = [];
    wakeUps.listen((stepId) => {
      started.push(stepId);
      return opened;
    }, 1);
    await wakeUps.wake([wakeUp("a"), wakeUp("b")]);
    const closing = wakeUps[Symbol.asyncDispose]();
    open({ state: "done" });
    await closing;
    expect(started).toEqual(["a"]);
  });
});
