import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { defineFamily, openCache } from "@mythic/shared/cache";
import { type GuardedRedis, openGuardedRedis } from "@mythic/shared/redis";
import { PATIENT_MS, redisUrl } from "@mythic/testing/redis";
import { Redis } from "ioredis";
import { anySchema, type NoteOptions, noteFamily } from "./note.ts";

let guard: GuardedRedis;
let stranger: Redis;

beforeAll(async () => {
  guard = openGuardedRedis(await redisUrl(), { commandTimeoutMs: PATIENT_MS });
  stranger = new Redis(await redisUrl());
});
afterAll(async () => {
  await guard.close();
  stranger.disconnect();
});

/** A cache that keeps nothing in memory, so that it reads what Redis holds. */
async function openReader(namespace: string, options: NoteOptions = {}) {
  const cache = openCache({ namespace, families: { notes: noteFamily(options) }, redis: guard, local: null });
  await cache.ready(10_000);
  return {
    cache,
    notes: cache.families.notes,
    misses: () => cache.own().families["notes"]?.misses,
    [Symbol.asyncDispose]: () => cache.close(),
  };
}

/** What another program may have left where a value is expected, made of the bytes of a value. */
const STRANGE: readonly { readonly what: string; make(bytes: Buffer): Buffer }[] = [
  { what: "a value of an unknown format", make: (bytes) => Buffer.concat([Buffer.of(2), bytes.subarray(1)]) },
  { what: "a value that was cut off", make: (bytes) => bytes.subarray(0, -5) },
  { what: "a value that was cut off in its header", make: (bytes) => bytes.subarray(0, 20) },
  { what: "nothing", make: () => Buffer.alloc(0) },
  { what: "bytes of another kind", make: () => Buffer.alloc(200, 0xff) },
  { what: "a text", make: () => Buffer.from('{"text":"hello"}') },
];

describe("what was put in the place of a value is no value, and is replaced:", () => {
  test.each(STRANGE)("$what", async ({ make }) => {
    for (const options of [{}, { tags: () => ["all"] }, { revision: () => 1 }, { graceMs: 60_000 }]) {
      await using reader = await openReader(`test-${randomUUID()}`, options);
      const { notes, misses } = reader;
      await notes.set("ann", "1", { text: "hello" });
      const { key } = await notes.explain("ann", "1");
      await stranger.set(key, make((await stranger.getBuffer(key)) as Buffer), "PX", 60_000);
      expect(await notes.get("ann", "1")).toBeUndefined();
      const counts = misses();
      expect((counts?.format ?? 0) + (counts?.schema ?? 0)).toBe(1);
      expect((await notes.explain("ann", "1")).key).toBe(key);
      expect(await notes.getOrSet("ann", "1", () => ({ text: "loaded" }))).toEqual({ text: "loaded" });
      expect(await notes.get("ann", "1")).toEqual({ text: "loaded" });
    }
  });

  test("a list", async () => {
    await using reader = await openReader(`test-${randomUUID()}`);
    const { notes } = reader;
    const { key } = await notes.explain("ann", "1");
    await stranger.rpush(key, "not", "a", "value");
    await stranger.pexpire(key, 60_000);
    expect(await notes.get("ann", "1")).toBeUndefined();
    expect(await notes.getOrSet("ann", "1", () => ({ text: "loaded" }))).toEqual({ text: "loaded" });
    expect(await notes.set("ann", "1", { text: "stored" })).toBe(true);
    expect(await notes.get("ann", "1")).toEqual({ text: "stored" });
  });
});

describe("a value that another program stored", () => {
  test("in a shape that the family's schema does not know is no value, and is replaced", async () => {
    const namespace = `test-${randomUUID()}`;
    const untyped = defineFamily({
      name: "notes",
      scope: "user",
      version: 1,
      ttlMs: 60_000,
      schema: anySchema<unknown>(),
      key: (id: string) => id,
    });
    const older = openCache({ namespace, families: { untyped }, redis: guard, local: null });
    await older.ready(10_000);
    await older.families.untyped.set("ann", "1", { words: "hello" });
    await using reader = await openReader(namespace);
    const { notes, misses } = reader;
    expect(await notes.get("ann", "1")).toBeUndefined();
    expect(misses()?.schema).toBe(1);
    expect(await notes.getOrSet("ann", "1", () => ({ text: "loaded" }))).toEqual({ text: "loaded" });
    expect(await older.families.untyped.get("ann", "1")).toEqual({ text: "loaded" });
    await older.close();
  });

  test("under another version of the family is not seen, and stays", async () => {
    const namespace = `test-${randomUUID()}`;
    await using first = await openReader(namespace, { version: 1 });
    await using second = await openReader(namespace, { version: 2 });
    await first.notes.set("ann", "1", { text: "one" });
    expect(await second.notes.get("ann", "1")).toBeUndefined();
    await second.notes.set("ann", "1", { text: "two" });
    expect(await first.notes.get("ann", "1")).toEqual({ text: "one" });
  });

  test("is what the schema makes of it", async () => {
    const dated = defineFamily({
      name: "dated",
      scope: "shared",
      version: 1,
      ttlMs: 60_000,
      schema: {
        safeParse: (value) =>
          typeof value === "string"
            ? { success: true as const, data: new Date(value) }
            : { success: false as const },
      },
    });
    const cache = openCache({ namespace: `test-${randomUUID()}`, families: { dated }, redis: guard });
    await cache.ready(10_000);
    const noon = new Date("2026-11-21T12:00:00Z");
    expect(await cache.families.dated.getOrSet(() => noon)).toEqual(noon);
    expect(await cache.families.dated.get()).toEqual(noon);
    await cache.close();
  });

  test("is compressed where that is worth it, and counted as what it was and as what it is", async () => {
    await using reader = await openReader(`test-${randomUUID()}`);
    const { cache, notes } = reader;
    const text = "It was a bright cold day in April. ".repeat(200);
    await notes.set("ann", "1", { text });
    expect(await notes.get("ann", "1")).toEqual({ text });
    expect((await notes.explain("ann", "1")).redis).toMatchObject({
      isCompressed: true,
      rawBytes: text.length + 11,
    });
    const { rawBytes = 0, storedBytes = 0 } = cache.own().families["notes"] ?? {};
    expect(rawBytes).toBe(text.length + 11);
    expect(storedBytes).toBeLessThan(0.85 * rawBytes);
  });
});
