import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { openCache } from "@mythic/shared/cache";
import { openGuardedRedis } from "@mythic/shared/redis";
import { PATIENT_MS, startRedis, type TestRedis } from "@mythic/testing/redis";
import { waitFor } from "@mythic/testing/wait";
import { Redis } from "ioredis";
import { callsOf } from "./crew.ts";
import { NAMESPACE, noteFamily, USER } from "./notes-child.ts";

const MINUTE = 60_000;

let suite: AsyncDisposableStack;
let stack: AsyncDisposableStack;
let server: TestRedis;
let stranger: Redis;

beforeAll(async () => {
  suite = new AsyncDisposableStack();
  server = suite.use(await startRedis());
  stranger = new Redis(server.url);
  suite.defer(() => stranger.disconnect());
});
afterAll(() => suite.disposeAsync());
beforeEach(async () => {
  stack = new AsyncDisposableStack();
  await stranger.flushall();
});
afterEach(() => stack.disposeAsync());

function openGuard(url = server.url) {
  const redis = openGuardedRedis(url, { commandTimeoutMs: PATIENT_MS });
  stack.defer(() => redis.close());
  return redis;
}

async function open(
  redis = openGuard(),
  local: { readonly maxBytes: number } | null = { maxBytes: 1_000_000 },
) {
  const stale = noteFamily({ name: "stale", ttlMs: 1, graceMs: MINUTE, softTimeoutMs: 20 });
  const families = { notes: noteFamily(), stale };
  const cache = openCache({ namespace: NAMESPACE, families, redis, local });
  stack.defer(() => cache.close());
  expect(await cache.ready(10_000)).toBe(true);
  return cache;
}

/** How many commands of each kind Redis ran during a call, but for those that keep connections in order. */
async function commandsOf(call: () => Promise<unknown>): Promise<Record<string, number>> {
  await stranger.config("RESETSTAT");
  await call();
  const counts: Record<string, number> = {};
  for (const [, name = "", calls] of String(await stranger.info("commandstats")).matchAll(
    /^cmdstat_([^:]+):calls=(\d+)/gm,
  ))
    counts[name] = Number(calls);
  for (const name of ["ping", "info", "config|resetstat", "time"]) delete counts[name];
  return counts;
}

describe("what a call asks of Redis [keyv#1644]:", () => {
  const load = () => ({ text: "loaded" });

  test("nothing for a hit in memory", async () => {
    const { notes } = (await open()).families;
    await notes.getOrSet(USER, "1", load);
    // News of this process's own writes may still be on its way, and takes the value out of memory once more.
    await waitFor(
      async () => Object.keys(await commandsOf(() => notes.getOrSet(USER, "1", load))).length === 0,
    );
  });

  test("one command for a hit in Redis, with all tags", async () => {
    const { notes } = (await open(openGuard(), null)).families;
    await notes.getOrSet(USER, "1", load);
    expect(await commandsOf(() => notes.getOrSet(USER, "1", load))).toEqual({ mget: 1 });
  });

  test("one command for many values, and none when all are in memory", async () => {
    const cache = await open(openGuard(), null);
    const { notes } = cache.families;
    const many = Array.from({ length: 50 }, (_, index) => [String(index)] as const);
    expect(await commandsOf(() => notes.getMany(USER, many))).toEqual({ mget: 1 });
  });

  test("a look and two scripts for a value that is loaded", async () => {
    const { notes } = (await open(openGuard(), null)).families;
    // Scripts are known by then.
    await notes.getOrSet(USER, "0", load);
    const counts = await commandsOf(() => notes.getOrSet(USER, "1", load));
    expect(counts).toMatchObject({ mget: 1, evalsha: 2 });
  });
});

describe("what is opened once", () => {
  test("is one connection for commands and one for news, however many namespaces, callers and loads there are [FusionCache#608]", async () => {
    const cache = await open();
    const load = async () => ({ text: "loaded" });
    const spaces = Array.from({ length: 20 }, (_, index) => cache.namespace(`space-${index}`));
    await Promise.all(
      spaces.flatMap(({ families }) =>
        Array.from({ length: 20 }, (_, index) => families.notes.getOrSet(USER, `${index}`, load)),
      ),
    );
    const lines = String(await stranger.client("LIST")).split("\n");
    const names = lines.flatMap((line) => / name=(mythic:\w+) /.exec(line)?.[1] ?? []);
    expect(names.sort()).toEqual(["mythic:cache", "mythic:tracking"]);
  });

  test("leaves no listener behind when it is closed, and more of it adds none for each namespace [LibreChat#16148]", async () => {
    const redis = openGuard();
    await waitFor(() => redis.breaker.state === "closed");
    const { connection } = redis;
    const count = () =>
      connection.eventNames().reduce((sum, name) => sum + connection.listenerCount(name as string), 0);
    const before = count();
    const cache = await open(redis);
    const opened = count();
    for (let index = 0; index < 100; index += 1) cache.namespace(`space-${index}`);
    expect(count()).toBe(opened);
    await cache.close();
    expect(count()).toBe(before);
  });
});

describe("a namespace that one cache clears", () => {
  test("is gone from the memory of another, and nothing else is [bentocache#32]", async () => {
    const [one, other] = [await open(), await open()];
    const inside = other.namespace("inside").families.notes;
    const outside = other.families.notes;
    await inside.set(USER, "1", { text: "inside" });
    await outside.set(USER, "1", { text: "outside" });
    await waitFor(async () => {
      await Promise.all([inside.get(USER, "1"), outside.get(USER, "1")]);
      return inside.peek(USER, "1") && outside.peek(USER, "1");
    });
    await one.namespace("inside").clear();
    await waitFor(() => inside.peek(USER, "1") === undefined);
    expect(await inside.get(USER, "1")).toBeUndefined();
    expect(outside.peek(USER, "1")).toEqual({ text: "outside" });
  });
});

describe("who has a value past its time, while another process loads it,", () => {
  test("gets the old one after the soft time-out and does not wait for that process [bentocache#103]", async () => {
    const [one, other] = [await open(), await open()];
    await one.families.stale.set(USER, "1", { text: "old" });
    await waitFor(async () => (await other.families.stale.get(USER, "1")) === undefined);
    const gate = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const early = one.families.stale.getOrSet(USER, "1", async () => {
      begun.resolve();
      await gate.promise;
      return { text: "new" };
    });
    await begun.promise;
    let loads = 0;
    const got = await other.families.stale.getOrSet(USER, "1", () => {
      loads += 1;
      return { text: "not needed" };
    });
    expect(got).toEqual({ text: "old" });
    expect(await early).toEqual({ text: "old" });
    expect(loads).toBe(0);
    gate.resolve();
  });
});

describe("values", () => {
  test("may be in a database of any number, of which news comes all the same [go-redis#3794]", async () => {
    const cache = await open(openGuard(`${server.url}/3`));
    const { notes } = cache.families;
    await notes.set(USER, "1", { text: "here" });
    await waitFor(async () => (await notes.get(USER, "1")) && notes.peek(USER, "1"));
    const inside = new Redis(`${server.url}/3`);
    stack.defer(() => inside.disconnect());
    await inside.flushdb();
    await waitFor(() => notes.peek(USER, "1") === undefined);
    expect(await notes.get(USER, "1")).toBeUndefined();
  });

  test("of another version of the family are not seen by this one", async () => {
    const one = await open();
    const families = { notes: noteFamily({ version: 2 }) };
    const other = openCache({ namespace: NAMESPACE, families, redis: openGuard() });
    stack.defer(() => other.close());
    expect(await other.ready(10_000)).toBe(true);
    await one.families.notes.set(USER, "1", { text: "first" });
    expect(await other.families.notes.get(USER, "1")).toBeUndefined();
    await other.families.notes.set(USER, "1", { text: "second" });
    expect(await one.families.notes.get(USER, "1")).toEqual({ text: "first" });
  });
});

describe("a clear of very many values", () => {
  test("lets no load store what it read before, wherever SCAN is", async () => {
    const [one, other] = [await open(openGuard(), null), await open(openGuard(), null)];
    // So many that SCAN takes several steps.
    const many = Array.from({ length: 2_000 }, (_, index) => [`fill-${index}`, { text: "fill" }] as const);
    await one.families.notes.setMany(USER, many);
    let edition = 0;
    const ids = Array.from({ length: 100 }, (_, index) => `racing-${index}`);
    const load = async () => {
      const read = edition;
      await new Promise((resolve) => setTimeout(resolve, 20 * Math.random()));
      return { text: String(read) };
    };
    for (let round = 0; round < 3; round += 1) {
      const loading = ids.map((id) => other.families.notes.getOrSet(USER, id, load));
      await waitFor(async () => (await callsOf(stranger, "evalsha")) > 0, { everyMs: 1 });
      edition += 1;
      await one.clear();
      await Promise.all(loading);
      const left = await one.families.notes.getMany(
        USER,
        ids.map((id) => [id] as const),
      );
      const outdated = left.filter((note) => note !== undefined && Number(note.text) < edition);
      expect(outdated).toEqual([]);
      await one.families.notes.setMany(USER, many);
    }
  });
});
