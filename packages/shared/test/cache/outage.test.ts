import { randomUUID } from "node:crypto";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "@jest/globals";
import { openCache } from "@mythic/shared/cache";
import { type GuardOptions, openGuardedRedis } from "@mythic/shared/redis";
import { startRedis, type TestRedis } from "@mythic/testing/redis";
import { waitFor } from "@mythic/testing/wait";
import { Redis } from "ioredis";
import { Journal } from "../../src/cache/journal.ts";
import { type NoteOptions, noteFamily } from "./note.ts";
import { Source } from "./source.ts";

/** Of a Redis that may be slow on a busy machine and shall be asked all the same. */
const PATIENT = { commandTimeoutMs: 5_000, probeAfterMs: 20 };
const FROZEN = { commandTimeoutMs: 500, probeAfterMs: 60_000 };

let server: TestRedis;
/** A connection that no cache uses. */
let stranger: Redis;
let namespace = `test-${randomUUID()}`;
let stack = new AsyncDisposableStack();

beforeAll(async () => {
  server = await startRedis();
  stranger = new Redis(server.url, { retryStrategy: () => 10 });
  stranger.on("error", () => undefined);
});
afterAll(async () => {
  stranger.disconnect();
  await server[Symbol.asyncDispose]();
});

afterEach(async () => {
  await server.resume();
  await stack.disposeAsync();
  stack = new AsyncDisposableStack();
  namespace = `test-${randomUUID()}`;
});

/** A cache with a connection of its own. */
async function openProcess(options: NoteOptions = {}, guard: GuardOptions = PATIENT) {
  const redis = openGuardedRedis(server.url, guard);
  const cache = openCache({ namespace, families: { notes: noteFamily(options) }, redis, heartbeatMs: 200 });
  stack.defer(() => redis.close());
  stack.defer(() => cache.close());
  await cache.ready(10_000);
  return { cache, notes: cache.families.notes, redis };
}

/** What it resolves with, if that is before anything else can happen. */
function atOnce<Value>(promise: Promise<Value>): Promise<Value | "late"> {
  return Promise.race([promise, new Promise<"late">((resolve) => setImmediate(resolve, "late"))]);
}

describe("while Redis is frozen", () => {
  test("nothing is thrown, whatever is asked for [HandlesDistributedCacheFailures]", async () => {
    const { cache, notes } = await openProcess({ graceMs: 60_000, tags: () => ["all"] }, FROZEN);
    await notes.set("ann", "1", { text: "old" });
    await server.pause();
    expect(await notes.get("ann", "2")).toBeUndefined();
    expect(await notes.getMany("ann", [["2"], ["3"]])).toEqual([undefined, undefined]);
    expect(await notes.set("ann", "2", { text: "two" })).toBe(true);
    expect(await notes.get("ann", "2")).toEqual({ text: "two" });
    await notes.setMany("ann", [["3", { text: "three" }]]);
    expect(await notes.exists("ann", "3")).toBe(true);
    expect(await notes.expire("ann", "3")).toBe(true);
    expect(await notes.exists("ann", "3")).toBe(false);
    expect(await notes.delete("ann", "2")).toBe(true);
    expect(await notes.getOrSet("ann", "2", () => ({ text: "loaded" }))).toEqual({ text: "loaded" });
    await cache.deleteByTag({ user: "ann" }, "all");
    expect(await notes.get("ann", "2")).toBeUndefined();
    await cache.deleteByPattern("notes:*");
    await cache.clear();
    expect((await notes.explain("ann", "1")).redis).toBe("not asked");
    expect((await cache.stats()).families["notes"]?.loads).toBe(1);
    expect(cache.health().status).toBe("degraded");
    expect(cache.health().pendingRemovals).toBeGreaterThan(0);
  });

  test("the first call waits for the time-out and no longer [AppliesDistributedCacheHardTimeout]; all others do not wait [DistributedCacheCircuitBreakerActuallyWorks]", async () => {
    const { notes, redis } = await openProcess({}, FROZEN);
    await server.pause();
    const lateness = monitorEventLoopDelay({ resolution: 1 });
    lateness.enable();
    const from = performance.now();
    expect(await notes.getOrSet("ann", "first", () => ({ text: "loaded" }))).toEqual({ text: "loaded" });
    const ms = performance.now() - from;
    lateness.disable();
    expect(ms).toBeLessThan(FROZEN.commandTimeoutMs + 3_000 + 2 * (lateness.max / 1_000_000));
    const { timeouts } = redis.breaker.snapshot();
    for (let id = 0; id < 50; id += 1) {
      const call = notes.getOrSet("ann", `cold ${id}`, () => ({ text: "loaded" }));
      expect(await atOnce(call)).toEqual({ text: "loaded" });
    }
    expect(redis.breaker.snapshot()).toMatchObject({ state: "open", timeouts });
  });

  test("what is stored before that is noticed is there", async () => {
    const { redis } = await openProcess();
    await server.pause();
    const cache = openCache({ namespace, families: { notes: noteFamily() }, redis });
    stack.defer(() => cache.close());
    const { notes } = cache.families;
    expect(await notes.set("ann", "1", { text: "stored" })).toBe(true);
    expect(cache.health()).toMatchObject({ coherence: "lost", breaker: { state: "closed" } });
    expect(await notes.get("ann", "1")).toEqual({ text: "stored" });
    expect(await notes.getOrSet("ann", "2", () => ({ text: "loaded" }))).toEqual({ text: "loaded" });
    expect(notes.peek("ann", "2")).toEqual({ text: "loaded" });
  });

  test("what was stored here in mid-load is not followed by the older revision that was being loaded, which Redis did not take", async () => {
    const { notes } = await openProcess({ revision: ({ revision = 0 }) => revision }, FROZEN);
    const { promise: hasBegun, resolve: begin } = Promise.withResolvers<void>();
    const { promise: goesOn, resolve: goOn } = Promise.withResolvers<void>();
    const old = notes.getOrSet("ann", "1", async () => {
      begin();
      await goesOn;
      return { text: "old", revision: 1 };
    });
    await hasBegun;
    expect(await notes.set("ann", "1", { text: "new", revision: 2 })).toBe(true);
    // Redis tells this process of its own write, and then it has no copy.
    await waitFor(() => notes.peek("ann", "1") === undefined);
    await server.pause();
    const load = () => ({ text: "new", revision: 2 });
    const joined = notes.getOrSet("ann", "1", load);
    goOn();
    expect(await old).toEqual({ text: "old", revision: 1 });
    expect(await joined).toEqual({ text: "new", revision: 2 });
    expect(await notes.getOrSet("ann", "1", load)).toEqual({ text: "new", revision: 2 });
  });

  test("what is in memory is served without waiting for it [AppliesDistributedCacheSoftTimeout]", async () => {
    const { notes } = await openProcess({}, FROZEN);
    await notes.set("ann", "1", { text: "hello" });
    // What this process stored comes back to it as a change.
    await waitFor(
      async () => (await notes.get("ann", "1")) !== undefined && notes.peek("ann", "1") !== undefined,
      { everyMs: 1 },
    );
    await server.pause();
    expect(await atOnce(notes.get("ann", "1"))).toEqual({ text: "hello" });
  });
});

describe("a Redis that goes", () => {
  test("in mid-load does no harm: who waits gets the value, and this process keeps it [HandlesDistributedCacheFailuresInTheMiddleOfAnOperation]", async () => {
    const { cache, notes } = await openProcess();
    const source = new Source();
    source.close();
    const waiting = notes.getOrSet("ann", "1", source.load);
    await waitFor(() => source.loads === 1, { everyMs: 1 });
    await server.stop();
    source.open();
    expect(await waiting).toEqual({ text: "load 1" });
    expect(notes.peek("ann", "1")).toEqual({ text: "load 1" });
    expect(await notes.getOrSet("ann", "1", source.load)).toEqual({ text: "load 1" });
    await server.start();
    await waitFor(() => cache.health().status === "ok", { everyMs: 5 });
    expect(await notes.getOrSet("ann", "1", source.load)).toEqual({ text: "load 2" });
    expect(await (await openProcess()).notes.get("ann", "1")).toEqual({ text: "load 2" });
  });
});

describe("a Redis that is full", () => {
  test("still tells of what is removed: a value that is being loaded meanwhile is not kept", async () => {
    const { notes } = await openProcess({ graceMs: 60_000 });
    const other = await openProcess({ graceMs: 60_000 });
    await notes.set("ann", "1", { text: "old" }, { ttlMs: 1 });
    await waitFor(async () => (await notes.get("ann", "1")) === undefined, { everyMs: 1 });
    await stranger.config("SET", "maxmemory", "1");
    stack.defer(async () => void (await stranger.config("SET", "maxmemory", "0")));
    const source = new Source();
    source.close();
    const waiting = notes.getOrSet("ann", "1", source.load);
    await waitFor(() => source.loads === 1, { everyMs: 1 });
    await other.notes.delete("ann", "1");
    await waitFor(async () => !(await notes.explain("ann", "1")).isLoadingHere, { everyMs: 1 });
    source.open();
    expect(await waiting).toEqual({ text: "load 1" });
    expect(notes.peek("ann", "1")).toBeUndefined();
  });
});

describe("what was invalidated in the dark", () => {
  test("is kept in mind while Redis is there again and takes no writes; until then nothing is read there [AutoRecovery: the backplane is back without the second level]", async () => {
    const { cache, notes } = await openProcess();
    const other = await openProcess();
    await notes.set("ann", "1", { text: "old" });
    await stranger.replicaof("127.0.0.1", 1);
    await notes.delete("ann", "1");
    expect(cache.health()).toMatchObject({ status: "degraded", pendingRemovals: 1, coherence: "tracking" });
    expect(await notes.get("ann", "1")).toBeUndefined();
    // Who does not know reads it still.
    expect(await other.notes.get("ann", "1")).toEqual({ text: "old" });
    await stranger.replicaof("NO", "ONE");
    await waitFor(() => cache.health().pendingRemovals === 0, { everyMs: 5 });
    await waitFor(async () => (await other.notes.get("ann", "1")) === undefined, { everyMs: 1 });
  });

  test("is told to Redis by a cache that is closed at once, if Redis is there", async () => {
    const { notes, redis } = await openProcess();
    await notes.set("ann", "1", { text: "old" });
    // It has not come to know the time of Redis yet, and so does not use it.
    const brief = openCache({ namespace, families: { notes: noteFamily() }, redis });
    const removed = brief.families.notes.delete("ann", "1");
    expect(brief.health().pendingRemovals).toBe(1);
    await brief.close();
    await removed;
    await waitFor(async () => (await notes.get("ann", "1")) === undefined, { everyMs: 1 });
    expect(await stranger.exists((await notes.explain("ann", "1")).key)).toBe(0);
  });

  test("is everything, when it is more than can be kept in mind [AutoRecovery: respects the maximum of items]", () => {
    const journal = new Journal("test:c:");
    for (let id = 0; id < 10_000; id += 1) journal.note({ kind: "value", key: `test:c:{s}:v:notes.1:${id}` });
    journal.note({ kind: "value", key: "test:c:{s}:v:notes.1:0" });
    expect(journal.size).toBe(10_000);
    journal.note({ kind: "value", key: "test:c:{s}:v:notes.1:one more" });
    expect(journal.take(10)).toEqual([
      { kind: "matching", prefix: "test:c:", selection: { path: "", scope: null, family: null, glob: null } },
    ]);
    expect(journal.size).toBe(0);
  });
});
