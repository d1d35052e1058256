import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { describe, expect, test } from "@jest/globals";
import { CACHE_EVENTS, type CacheEvent } from "../../src/cache/report/cache-events.ts";
import type { OpenCacheReport } from "../../src/cache/report/open-cache-report.ts";
import { keepLines, keyOf, openReport } from "./reports.ts";

const MINUTE_MS = 60_000;

/** One of each thing that there is to tell. */
function tellEverything(report: OpenCacheReport): void {
  const books = report.family("books");
  const key = keyOf("ann");
  books.localHit(key);
  books.redisHit(key, 1.234567);
  books.miss(key, "expired", 2);
  books.loaded(key, 30);
  books.loadFailed(key, 10);
  books.saved(key, { tier: "redis", bytes: 100, rawBytes: 300, ms: 3 });
  books.saved(key, { tier: "l1", bytes: 50, rawBytes: 50, ms: 0 });
  books.refused(key, "fenced");
  books.staleServed(key, "failure");
  books.coalesced(key, "process");
  books.coalesced(key, "redis");
  books.invalidated(key, 4);
  books.evicted();
  report.invalidatedMany("pattern", 12, 5);
}

function withEvents(work: () => void): readonly (CacheEvent & { readonly event: string })[] {
  const events: (CacheEvent & { readonly event: string })[] = [];
  const listeners = CACHE_EVENTS.map((event) => {
    const listener = (message: unknown) => events.push({ event, ...(message as CacheEvent) });
    subscribe(`mythic:cache:${event}`, listener);
    return () => unsubscribe(`mythic:cache:${event}`, listener);
  });
  try {
    work();
  } finally {
    for (const stop of listeners) stop();
  }
  return events;
}

describe("a report", () => {
  test("counts for each family what it is told, and sums families up", async () => {
    const report = openReport();
    tellEverything(report);
    report.family("status").localHit(keyOf("bob"));
    const { families, total, removed, processes, redis } = report.own();
    expect(families["books"]).toEqual({
      hits: { l1: 1, redis: 1 },
      misses: { absent: 0, expired: 1, tag: 0, schema: 0, format: 0, "redis-down": 0 },
      refused: { size: 0, schema: 0, fenced: 1, revision: 0 },
      coalesced: { process: 1, redis: 1 },
      loads: 2,
      failures: 1,
      loadMs: 40,
      meanLoadMs: 20,
      stale: 1,
      saves: { l1: 1, redis: 1 },
      storedBytes: 100,
      rawBytes: 300,
      invalidations: 1,
      evictions: 1,
      entries: 0,
      keys: null,
      hitRate: { lastMinute: 2 / 3, lastHour: 2 / 3, sinceStart: 2 / 3 },
    });
    expect(Object.keys(families)).toEqual(["books", "status"]);
    expect(total.hits).toEqual({ l1: 2, redis: 1 });
    expect(total.hitRate.sinceStart).toBe(3 / 4);
    expect({ removed, processes, redis }).toEqual({
      removed: { tag: 0, pattern: 12, clear: 0 },
      processes: 1,
      redis: null,
    });
    await report.close();
  });

  test("shows what the memory of the process holds", async () => {
    const tier = { bytes: 70, maxBytes: 100, size: 3, evictions: 4, sizeOf: () => 2 };
    const report = openReport({ local: () => tier });
    report.family("books");
    const { local, families } = report.own();
    expect(local).toEqual({ bytes: 70, maxBytes: 100, entries: 3, evictions: 4 });
    expect(families["books"]?.entries).toBe(2);
    await report.close();
  });

  test("has no rate and no mean of nothing", async () => {
    const report = openReport();
    report.family("books");
    const { meanLoadMs, hitRate } = report.own().total;
    expect({ meanLoadMs, ...hitRate }).toEqual({
      meanLoadMs: null,
      lastMinute: null,
      lastHour: null,
      sinceStart: null,
    });
    await report.close();
  });

  test("gives the same object for the same family", async () => {
    const report = openReport();
    expect(report.family("books")).toBe(report.family("books"));
    await report.close();
  });
});

describe("the hit rate", () => {
  function open() {
    let now = 1_000;
    const report = openReport({ clock: () => now });
    const books = report.family("books");
    return {
      report,
      hit: (times: number) => Array.from({ length: times }, () => books.localHit(keyOf("ann"))),
      miss: (times: number) => Array.from({ length: times }, () => books.miss(keyOf("ann"), "absent", 0)),
      /** Lets time pass as it does: a sample every five seconds. */
      pass(ms: number) {
        for (const end = now + ms; now < end; ) {
          now += Math.min(5_000, end - now);
          report.sample();
        }
      },
      rates: () => report.own().families["books"]?.hitRate,
    };
  }

  test("of the last minute forgets what is older, the one since the start does not", async () => {
    const { hit, miss, pass, rates, report } = open();
    hit(3);
    miss(1);
    pass(30_000);
    expect(rates()).toEqual({ lastMinute: 3 / 4, lastHour: 3 / 4, sinceStart: 3 / 4 });
    miss(4);
    pass(30_000);
    expect(rates()).toEqual({ lastMinute: 3 / 8, lastHour: 3 / 8, sinceStart: 3 / 8 });
    pass(20_000);
    expect(rates()).toEqual({ lastMinute: 0, lastHour: 3 / 8, sinceStart: 3 / 8 });
    pass(MINUTE_MS);
    expect(rates()).toEqual({ lastMinute: null, lastHour: 3 / 8, sinceStart: 3 / 8 });
    await report.close();
  });

  test("of the last hour forgets what is older", async () => {
    const { hit, miss, pass, rates, report } = open();
    miss(5);
    pass(50 * MINUTE_MS);
    hit(5);
    pass(9 * MINUTE_MS);
    expect(rates()).toEqual({ lastMinute: null, lastHour: 1 / 2, sinceStart: 1 / 2 });
    pass(2 * MINUTE_MS);
    expect(rates()).toEqual({ lastMinute: null, lastHour: 1, sinceStart: 1 / 2 });
    pass(60 * MINUTE_MS);
    expect(rates()).toEqual({ lastMinute: null, lastHour: null, sinceStart: 1 / 2 });
    await report.close();
  });

  test("is right to five seconds at any moment", async () => {
    const { hit, miss, pass, rates, report } = open();
    const seconds: boolean[] = [];
    for (let second = 0; second < 200; second += 1) {
      const isHit = second % 7 < 3;
      if (isHit) hit(1);
      else miss(1);
      seconds.push(isHit);
      pass(1_000);
      const share = (length: number) => {
        const last = seconds.slice(-length);
        return last.filter(Boolean).length / last.length;
      };
      const possible = Array.from({ length: 6 }, (_, more) => share(60 + more));
      expect(possible).toContain(rates()?.lastMinute);
    }
    await report.close();
  });

  test("of a family that came later begins with it", async () => {
    const { pass, report } = open();
    pass(10 * MINUTE_MS);
    report.family("late").localHit(keyOf("ann"));
    expect(report.own().families["late"]?.hitRate).toEqual({ lastMinute: 1, lastHour: 1, sinceStart: 1 });
    await report.close();
  });
});

describe("the log of a cache", () => {
  test("has a line for hits, misses, what is saved, invalidated and served stale, and for nothing else", async () => {
    const { lines, log } = keepLines();
    const report = openReport({ log });
    tellEverything(report);
    expect(lines.map(({ line }) => line)).toEqual([
      "HIT",
      "HIT",
      "MISS",
      "SAVE",
      "SAVE",
      "STALE",
      "INVALIDATE",
      "INVALIDATE",
    ]);
    expect(new Set(lines.map(({ level }) => level))).toEqual(new Set(["debug"]));
    const about = { namespace: "test", family: "books" };
    expect(lines[0]?.fields).toMatchObject({ ...about, tier: "l1", ms: 0 });
    expect(lines[1]?.fields).toMatchObject({ ...about, tier: "redis", ms: 1.23 });
    expect(lines[2]?.fields).toMatchObject({ ...about, reason: "expired", ms: 2 });
    expect(lines[3]?.fields).toMatchObject({ ...about, tier: "redis", ms: 3, bytes: 100, rawBytes: 300 });
    expect(lines[5]?.fields).toMatchObject({ ...about, reason: "failure" });
    expect(lines[6]?.fields).toMatchObject({ ...about, ms: 4 });
    expect(lines[7]?.fields).toEqual({ namespace: "test", reason: "pattern", count: 12, ms: 5 });
    await report.close();
  });

  test("is written at the level that is asked for", async () => {
    const { lines, log } = keepLines((level) => level === "info");
    const quiet = openReport({ log });
    tellEverything(quiet);
    expect(lines).toEqual([]);
    const loud = openReport({ log, logLevel: "info" });
    tellEverything(loud);
    expect(new Set(lines.map(({ level }) => level))).toEqual(new Set(["info"]));
    expect(lines).toHaveLength(8);
    await Promise.all([quiet.close(), loud.close()]);
  });

  test("follows a change of the level within seconds", async () => {
    let isOn = false;
    const { lines, log } = keepLines(() => isOn);
    const report = openReport({ log });
    isOn = true;
    report.sample();
    report.family("books").localHit(keyOf("ann"));
    expect(lines).toHaveLength(1);
    isOn = false;
    report.sample();
    report.family("books").localHit(keyOf("ann"));
    expect(lines).toHaveLength(1);
    await report.close();
  });

  test("tells users and values apart by hashes that do not show them", async () => {
    const { lines, log } = keepLines();
    const report = openReport({ log });
    const books = report.family("books");
    for (const key of [keyOf("ann", "1"), keyOf("ann", "2"), keyOf("bob", "1"), keyOf("ann", "1")]) {
      books.localHit(key);
    }
    const fields = lines.map((line) => line.fields as CacheEvent);
    const [first, second, third, fourth] = fields;
    for (const { scope, key } of fields) {
      expect(scope).toMatch(/^[0-9a-f]{8}$/);
      expect(key).toMatch(/^[0-9a-f]{8}$/);
    }
    expect(first).toEqual(fourth);
    expect(second?.scope).toBe(first?.scope);
    expect(second?.key).not.toBe(first?.key);
    expect(third?.scope).not.toBe(first?.scope);
    await report.close();
  });
});

describe("the channels of a cache", () => {
  test("get everything, under the name of what happened", async () => {
    const report = openReport();
    const events = withEvents(() => tellEverything(report));
    expect(events.map(({ event }) => event)).toEqual([
      "hit",
      "hit",
      "miss",
      "load",
      "load",
      "save",
      "save",
      "refuse",
      "stale",
      "coalesce",
      "coalesce",
      "invalidate",
      "evict",
      "invalidate",
    ]);
    expect(new Set(events.map(({ event }) => event))).toEqual(new Set(CACHE_EVENTS));
    expect(events[4]).toMatchObject({ namespace: "test", family: "books", reason: "failed", ms: 10 });
    expect(events[7]).toMatchObject({ reason: "fenced" });
    expect(events[9]).toMatchObject({ tier: "process" });
    await report.close();
  });
});
