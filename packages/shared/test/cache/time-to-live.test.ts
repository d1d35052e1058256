import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { defineFamily, openCache } from "@mythic/shared/cache";
import { openRateLimiter } from "@mythic/shared/rate-limit";
import { type GuardedRedis, openGuardedRedis } from "@mythic/shared/redis";
import { PATIENT_MS, startRedis, type TestRedis } from "@mythic/testing/redis";
import { waitFor } from "@mythic/testing/wait";
import { Redis } from "ioredis";
import { anySchema, noteFamily } from "./note.ts";
import { Source } from "./source.ts";

let server: TestRedis;
let guard: GuardedRedis;
let stranger: Redis;

beforeAll(async () => {
  server = await startRedis();
  guard = openGuardedRedis(server.url, { commandTimeoutMs: PATIENT_MS });
  stranger = new Redis(server.url);
});
afterAll(async () => {
  await guard.close();
  stranger.disconnect();
  await server[Symbol.asyncDispose]();
});

/** Milliseconds that each key has left; -1 for one that stays for ever. */
async function timesToLive(): Promise<ReadonlyMap<string, number>> {
  const keys = await stranger.keys("*");
  return new Map(await Promise.all(keys.map(async (key) => [key, await stranger.pttl(key)] as const)));
}

const shared = defineFamily({
  name: "shared",
  scope: "shared",
  version: 1,
  ttlMs: 60_000,
  negativeTtlMs: 1_000,
  earlyRefresh: true,
  schema: anySchema<string>(),
  key: (id: number) => id,
});
const statuses = noteFamily({ name: "statuses", revision: (note) => note.revision ?? 0 });

test("no key of cache and rate limiter stays for ever, whatever was done", async () => {
  const families = { notes: noteFamily({ graceMs: 60_000, tags: () => ["all", "more"] }), shared, statuses };
  const cache = openCache({ namespace: "test", families, redis: guard });
  await cache.ready(10_000);
  const { notes } = cache.families;
  const limiter = openRateLimiter({ namespace: "test", redis: guard });

  await notes.set("ann", "1", { text: "hello" });
  await notes.setMany("ann", [
    ["2", { text: "two" }],
    ["3", { text: "three" }],
  ]);
  await notes.set("bob", "1", { text: "long" }, { ttlMs: 10_000_000 });
  await notes.expire("ann", "2");
  await cache.deleteByTag({ user: "ann" }, "more");
  await notes.getOrSet("ann", "2", ({ setTtl }) => {
    setTtl(5_000);
    return { text: "loaded" };
  });
  await cache.families.statuses.set("ann", "1", { text: "two", revision: 2 });
  await cache.families.statuses.set("ann", "1", { text: "three", revision: 3 });
  await cache.families.shared.getOrSet(1, () => "shared");
  await cache.families.shared.getOrSet(2, () => undefined);
  await cache.families.shared.getOrSet(3, ({ skip }) => {
    skip();
    return "not stored";
  });
  await cache.namespace("inner").families.notes.set("ann", "1", { text: "inner" });
  await cache.wrap({ prefix: "wrapped", ttlMs: 1_000 }, async (id: number) => id)(1);
  await expect(notes.getOrSet("ann", "failing", () => Promise.reject(new Error("Gone.")))).rejects.toThrow(
    "Gone.",
  );
  const source = new Source();
  source.close();
  const loading = notes.getOrSet("ann", "loading", source.load);
  await waitFor(() => source.loads === 1, { everyMs: 1 });
  await cache.stats();
  const limit = { name: "reads", key: "ann", limit: 100, periodMs: 60_000 };
  await limiter.limit([limit, { ...limit, name: "writes", limit: 1, cost: 1 }]);
  await limiter.block({ ...limit, key: "bob" }, 5_000);
  const reservation = await limiter.reserve([{ ...limit, key: "cy", cost: 50 }]);
  await reservation.settle({ reads: 80 });

  const left = await timesToLive();
  const kinds = new Set(
    [...left.keys()].map((key) => /^test:(?:c:\{[^}]*\}:(\w)|(\w+))/.exec(key)?.slice(1).join("")),
  );
  // Values, leases, errors, tokens of tags, limits, statistics.
  expect(kinds).toEqual(new Set(["v", "l", "e", "t", "r", "stats"]));
  expect([...left].filter(([, ms]) => ms <= 0)).toEqual([]);

  source.open();
  await loading;
  await cache.deleteByPattern("notes:*");
  await cache.close();
  for (const [key, ms] of await timesToLive())
    expect({ key, isEndless: ms === -1 }).toEqual({ key, isEndless: false });
});

test("a tag's token outlives every value that bears it", async () => {
  const families = { notes: noteFamily({ tags: () => ["all"] }) };
  const cache = openCache({ namespace: "tokens", families, redis: guard });
  await cache.ready(10_000);
  const { notes } = cache.families;
  for (const ttlMs of [1_000, 500_000, 10_000_000]) {
    await notes.set("ann", "1", { text: "hello" }, { ttlMs });
    const left = await timesToLive();
    const of = (kind: string) =>
      [...left].find(([key]) => key.startsWith(`tokens:c:{u.ann}:${kind}:`))?.[1] ?? 0;
    expect(of("t")).toBeGreaterThan(of("v"));
  }
  await cache.close();
});
