import { randomBytes } from "node:crypto";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { openGuardedRedis } from "@mythic/shared/redis";
import { startRedis } from "@mythic/testing/redis";
import { waitFor } from "@mythic/testing/wait";
import { Redis } from "ioredis";
import { defineFamily } from "../../src/cache/family.ts";
import { openCache } from "../../src/cache/open-cache.ts";
import { CACHE_EVENTS } from "../../src/cache/report/cache-events.ts";
import { keepLines } from "./reports.ts";

const USER = "ann.smith@example.org";
const DIARY = "diary-of-1987";
const VALUE = "what nobody else may read";
const TAG = "tag-of-ann";
const COMPLAINT = "the store broke";
const SECRETS = [USER, "ann.smith", DIARY, "1987", VALUE, "nobody", TAG, COMPLAINT];

const short = { safeParse: (value: unknown) => (typeof value === "string" ? TEXT(value) : NO) } as const;
const TEXT = (data: string) => ({ success: true, data }) as const;
const NO = { success: false } as const;

const families = {
  diaries: defineFamily({
    name: "diaries",
    scope: "user",
    version: 1,
    ttlMs: 60_000,
    graceMs: 60_000,
    maxBytes: 1_000,
    schema: short,
    key: (name: string) => name,
    tags: () => [TAG],
  }),
};

let stack: AsyncDisposableStack;

beforeEach(() => {
  stack = new AsyncDisposableStack();
});

afterEach(async () => {
  await stack.disposeAsync();
});

/** All events of all caches, as text. */
function keepEvents(): string[] {
  const events: string[] = [];
  for (const event of [...CACHE_EVENTS, "coherence"]) {
    const listener = (message: unknown) => events.push(`${event} ${JSON.stringify(message)}`);
    subscribe(`mythic:cache:${event}`, listener);
    stack.defer(() => void unsubscribe(`mythic:cache:${event}`, listener));
  }
  return events;
}

async function open(local: { readonly maxBytes: number }) {
  const server = stack.use(await startRedis());
  const redis = openGuardedRedis(server.url, { commandTimeoutMs: 1_000 });
  stack.defer(() => redis.close());
  const { lines, log } = keepLines();
  const cache = openCache({ namespace: "test", families, redis, log, local });
  stack.defer(() => cache.close());
  await waitFor(() => cache.health().coherence === "tracking");
  const client = stack.adopt(new Redis(server.url), async (each) => each.disconnect());
  return { cache, lines, client };
}

test("no log line, event or statistic of a cache holds a value, a key or a user's id", async () => {
  const events = keepEvents();
  const { cache, lines, client } = await open({ maxBytes: 2_000 });
  const { diaries } = cache.families;
  const load = async () => VALUE;
  const fail = async () => {
    throw new Error(COMPLAINT);
  };

  await Promise.all([diaries.getOrSet(USER, DIARY, load), diaries.getOrSet(USER, DIARY, load)]);
  await waitFor(async () => {
    await diaries.get(USER, DIARY);
    return diaries.peek(USER, DIARY) === VALUE;
  });
  await diaries.expire(USER, DIARY);
  expect(await diaries.getOrSet(USER, DIARY, fail)).toBe(VALUE);
  await expect(diaries.getOrSet(USER, `${DIARY}-lost`, fail)).rejects.toThrow(COMPLAINT);
  await diaries.set(USER, DIARY, `${VALUE} ${randomBytes(2_000).toString("hex")}`);
  await diaries.setMany(
    USER,
    Array.from({ length: 20 }, (_, page) => [`${DIARY}-${page}`, VALUE]),
  );
  await diaries.getMany(
    USER,
    Array.from({ length: 20 }, (_, page) => [`${DIARY}-${page}`]),
  );
  await diaries.delete(USER, `${DIARY}-1`);
  await cache.deleteByTag({ user: USER }, TAG);
  await cache.deleteByPattern(`diaries:${DIARY}*`);
  await cache.clear();

  const stats = JSON.stringify(await cache.stats());
  const shared = JSON.stringify(await client.hgetall("test:stats"));
  const told = [...events, ...lines.map((line) => JSON.stringify(line)), stats, shared];
  for (const secret of SECRETS) {
    for (const form of [secret, encodeURIComponent(secret), Buffer.from(secret).toString("base64url")]) {
      expect(told.filter((text) => text.includes(form))).toEqual([]);
    }
  }

  // All of it was told of, or the lines above would show nothing.
  const seen = new Set(events.map((event) => event.split(" ", 1)[0]));
  expect(seen).toEqual(new Set([...CACHE_EVENTS, "coherence"]));
  expect(new Set(lines.map(({ line }) => line))).toEqual(
    new Set(["HIT", "MISS", "SAVE", "STALE", "INVALIDATE"]),
  );
  expect(shared).toContain("diaries");
});
