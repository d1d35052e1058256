import { afterEach, describe, expect, test } from "@jest/globals";
import { type CacheOptions, type Families, openCache } from "@mythic/shared/cache";
import { openGuardedRedis } from "@mythic/shared/redis";
import { freePort } from "@mythic/testing/free-port";
import { DrivenClock } from "./driven-clock.ts";
import { type NoteOptions, noteFamily } from "./note.ts";

const HOUR = 3_600_000;

let stack = new AsyncDisposableStack();
afterEach(async () => {
  await stack.disposeAsync();
  stack = new AsyncDisposableStack();
});

function openAlone(more: Partial<CacheOptions<Families>>, options: NoteOptions = {}) {
  const clock = new DrivenClock();
  const families = { notes: noteFamily({ ttlMs: HOUR, ...options }) };
  const cache = openCache({ namespace: "test", redis: null, clock: clock.now, ...more, families });
  stack.defer(() => cache.close());
  return { notes: cache.families.notes, clock };
}

/** A Redis that is configured, and not there. */
async function nowhere() {
  const redis = openGuardedRedis(`redis://127.0.0.1:${await freePort()}`);
  stack.defer(() => redis.close());
  return redis;
}

describe("a value that only this process has", () => {
  test("is kept as long as its family says, where there is no Redis by configuration", async () => {
    const { notes, clock } = openAlone({});
    await notes.set("ann", "1", { text: "hello" });
    clock.advance(HOUR - 1);
    expect(await notes.get("ann", "1")).toEqual({ text: "hello" });
    clock.advance(1);
    expect(await notes.get("ann", "1")).toBeUndefined();
  });

  test("is kept for a second at most, where Redis is missing", async () => {
    const { notes, clock } = openAlone({ redis: await nowhere() });
    await notes.set("ann", "stored", { text: "stored" });
    await notes.getOrSet("ann", "loaded", () => ({ text: "loaded" }));
    clock.advance(999);
    expect(await notes.get("ann", "stored")).toEqual({ text: "stored" });
    expect(await notes.getOrSet("ann", "loaded", () => ({ text: "anew" }))).toEqual({ text: "loaded" });
    clock.advance(1);
    expect(await notes.get("ann", "stored")).toBeUndefined();
    expect(await notes.getOrSet("ann", "loaded", () => ({ text: "anew" }))).toEqual({ text: "anew" });
  });

  test("is kept no longer than `aloneTtlMs`, nor longer than its family says", async () => {
    const { notes, clock } = openAlone({ aloneTtlMs: 5_000 });
    await notes.set("ann", "long", { text: "hello" });
    await notes.set("ann", "short", { text: "hello" }, { ttlMs: 1_000 });
    clock.advance(1_000);
    expect(notes.peek("ann", "short")).toBeUndefined();
    clock.advance(3_999);
    expect(notes.peek("ann", "long")).toEqual({ text: "hello" });
    clock.advance(1);
    expect(notes.peek("ann", "long")).toBeUndefined();
  });

  test("is kept as long as its family says that it may be, be it longer or shorter than others", async () => {
    const redis = await nowhere();
    const { notes, clock } = openAlone({ redis }, { aloneTtlMs: HOUR / 2 });
    await notes.set("ann", "1", { text: "hello" });
    clock.advance(HOUR / 2 - 1);
    expect(notes.peek("ann", "1")).toEqual({ text: "hello" });
    clock.advance(1);
    expect(notes.peek("ann", "1")).toBeUndefined();
    const short = openAlone({ redis, aloneTtlMs: HOUR }, { aloneTtlMs: 500 });
    await short.notes.set("ann", "1", { text: "hello" });
    short.clock.advance(500);
    expect(short.notes.peek("ann", "1")).toBeUndefined();
  });

  test("is in its grace after that, when the source fails", async () => {
    const { notes, clock } = openAlone({ aloneTtlMs: 1_000 }, { graceMs: 10_000 });
    await notes.set("ann", "1", { text: "old" });
    const fail = () => Promise.reject(new Error("The source is gone."));
    clock.advance(10_999);
    expect(await notes.getOrSet("ann", "1", fail)).toEqual({ text: "old" });
    clock.advance(1_000);
    await expect(notes.getOrSet("ann", "1", fail)).rejects.toThrow("The source is gone.");
  });

  test("stays when it is removed and stored again in one turn", async () => {
    const { notes } = openAlone({});
    await notes.set("ann", "1", { text: "old" });
    await Promise.all([notes.delete("ann", "1"), notes.set("ann", "1", { text: "new" })]);
    expect(notes.peek("ann", "1")).toEqual({ text: "new" });
  });

  test("is the same object until it changes", async () => {
    const { notes } = openAlone({});
    await notes.set("ann", "1", { text: "hello" });
    const first = notes.peek("ann", "1");
    expect(await notes.get("ann", "1")).toBe(first);
    expect(await notes.getOrSet("ann", "1", () => ({ text: "anew" }))).toBe(first);
    expect(Object.isFrozen(first)).toBe(true);
    await notes.set("ann", "1", { text: "hello" });
    expect(notes.peek("ann", "1")).not.toBe(first);
  });
});
