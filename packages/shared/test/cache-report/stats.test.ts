import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { type GuardedRedis, openGuardedRedis } from "@mythic/shared/redis";
import { startRedis, type TestRedis } from "@mythic/testing/redis";
import { startRedisCluster } from "@mythic/testing/redis-cluster";
import { waitFor } from "@mythic/testing/wait";
import { Redis } from "ioredis";
import type { OpenCacheReport } from "../../src/cache/report/open-cache-report.ts";
import { keyOf, openReport } from "./reports.ts";

const KEY = "test:stats";

let server: TestRedis;
let redis: GuardedRedis;
let client: Redis;
let stack: AsyncDisposableStack;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  server = stack.use(await startRedis());
  redis = await connect(server.url);
  client = stack.adopt(new Redis(server.url), async (each) => each.disconnect());
  client.on("error", () => undefined);
});

afterEach(async () => {
  await stack.disposeAsync();
});

async function connect(url: string): Promise<GuardedRedis> {
  const guarded = openGuardedRedis(url, { probeAfterMs: 100, commandTimeoutMs: 1_000 });
  stack.defer(() => guarded.close());
  await waitFor(() => guarded.breaker.state === "closed");
  return guarded;
}

/** What a process of its own would open. */
function openProcess(
  hits: number,
  local = { bytes: 10, maxBytes: 100, size: 1, evictions: 2, sizeOf: () => 1 },
) {
  const report = openReport({ redis, local: () => local });
  stack.defer(() => report.close());
  const books = report.family("books");
  for (let hit = 0; hit < hits; hit += 1) books.localHit(keyOf("ann"));
  books.miss(keyOf("ann"), "absent", 1);
  return report;
}

async function hitsSeenBy(report: OpenCacheReport): Promise<number | undefined> {
  return (await report.stats()).families["books"]?.hits.l1;
}

describe("the statistics of several processes", () => {
  test("are summed", async () => {
    const [one, other] = [openProcess(1), openProcess(2)];
    other.family("status").redisHit(keyOf("ann"), 1);
    other.invalidatedMany("tag", 5, 1);
    await other.stats();
    const { processes, families, total, local, removed } = await one.stats();
    expect(processes).toBe(2);
    expect(families["books"]).toMatchObject({ hits: { l1: 3, redis: 0 }, misses: { absent: 2 }, entries: 2 });
    expect(families["books"]?.hitRate).toEqual({ lastMinute: 3 / 5, lastHour: 3 / 5, sinceStart: 3 / 5 });
    expect(total.hits).toEqual({ l1: 3, redis: 1 });
    expect(local).toEqual({ bytes: 20, maxBytes: 200, entries: 2, evictions: 4 });
    expect(removed).toEqual({ tag: 5, pattern: 0, clear: 0 });
  });

  test("hold the newest of their own, and each process once", async () => {
    const one = openProcess(1);
    expect(await hitsSeenBy(one)).toBe(1);
    one.family("books").localHit(keyOf("ann"));
    expect(await hitsSeenBy(one)).toBe(2);
    expect((await one.stats()).processes).toBe(1);
  });

  test("begin with the oldest process", async () => {
    const one = openProcess(1);
    const { since } = one.own();
    const other = openProcess(1);
    await one.stats();
    expect((await other.stats()).since).toBe(since);
  });

  test("do not hold a process that was closed", async () => {
    const [one, other] = [openProcess(1), openProcess(2)];
    await other.stats();
    expect(await hitsSeenBy(one)).toBe(3);
    await other.close();
    expect(await hitsSeenBy(one)).toBe(1);
  });

  test("do not hold a process that died, and nothing of it stays in Redis", async () => {
    const [one, other] = [openProcess(1), openProcess(2)];
    await other.stats();
    // What it wrote becomes as old as it would if it went on to be silent.
    const [[name = "", text = ""] = []] = Object.entries(await client.hgetall(KEY));
    const [at, ...sums] = text.split(" ");
    await client.hset(KEY, name, [Number(at) - 16_000, ...sums].join(" "));
    expect(await hitsSeenBy(one)).toBe(1);
    await waitFor(async () => !(await client.hexists(KEY, name)));
    expect(await client.hlen(KEY)).toBe(1);
  });

  test("leave a key with a time to live", async () => {
    await openProcess(1).stats();
    const ttl = await client.pttl(KEY);
    expect(ttl).toBeGreaterThan(10_000);
    expect(ttl).toBeLessThanOrEqual(15_000);
    expect(await client.keys("*")).toEqual([KEY]);
  });

  test("pass over what another version of the program wrote", async () => {
    const one = openProcess(1);
    const now = Date.now();
    const sums = { startedAt: now, families: { books: { hits: { l1: 5, moon: 7 }, unheard: 3 } } };
    await client.hset(KEY, "newer", `${now} ${JSON.stringify(sums)}`);
    await client.hset(KEY, "broken", `${now} {`, "odd", `${now} null`, "empty", "");
    expect(await hitsSeenBy(one)).toBe(6);
    expect(Object.keys((await one.stats()).families["books"]?.hits ?? {})).toEqual(["l1", "redis"]);
  });
});

describe("the statistics of Redis", () => {
  test("are its memory and the values of each family", async () => {
    const one = openProcess(0);
    for (const user of ["ann", "bob"]) await client.set(keyOf(user), "value", "PX", 60_000);
    // A lease, a tag, and what is not ours.
    await client.set(keyOf("ann").replace(":v:", ":l:"), "lease");
    await client.set("test:c:{u:ann}:t:books", "token");
    await client.set("other:c:{u:ann}:v:books.1:mine", "value");
    await client.set("test:c:{u:ann}:v:status.2:run", "value");
    await client.config("SET", "maxmemory", "50mb");
    const { redis: found, families, total } = await one.stats();
    expect(found).toMatchObject({ maxMemory: 50 * 1_024 ** 2, evictedKeys: 0, keys: 3 });
    expect(found?.usedMemory).toBeGreaterThan(100_000);
    expect([families["books"]?.keys, families["status"]?.keys, total.keys]).toEqual([2, 1, 3]);
  });

  test("are estimated when there are very many keys", async () => {
    const one = openProcess(0);
    const make = `for i = 1, 60000 do redis.call("SET", "test:c:{s}:v:" .. ARGV[i % 3 + 1] .. ".1:" .. i, "") end`;
    await client.eval(make, 0, "books", "books", "status");
    const { families } = await one.stats();
    expect(families["books"]?.keys).toBeGreaterThan(38_000);
    expect(families["books"]?.keys).toBeLessThan(42_000);
    expect(families["status"]?.keys).toBeGreaterThan(18_000);
    expect(families["status"]?.keys).toBeLessThan(22_000);
  });

  test("are summed over the servers of a Cluster", async () => {
    const cluster = stack.use(await startRedisCluster());
    redis = await connect(cluster.url);
    const one = openProcess(3);
    const users = Array.from({ length: 30 }, (_, index) => `user-${index}`);
    await Promise.all(users.map((user) => redis.run((each) => each.set(keyOf(user), "value"))));
    const { families, redis: found, processes } = await one.stats();
    expect(families["books"]).toMatchObject({ hits: { l1: 3 }, keys: 30 });
    expect({ keys: found?.keys, processes }).toEqual({ keys: 30, processes: 1 });
    expect(await hitsSeenBy(openProcess(4))).toBe(7);
  });

  test("are missing without Redis, when what this process counted is all there is", async () => {
    const [one, other] = [openProcess(1), openProcess(2)];
    await other.stats();
    await server.stop();
    await waitFor(() => redis.breaker.state === "open");
    const stats = await one.stats();
    expect(stats).toMatchObject({ processes: 1, redis: null, total: { hits: { l1: 1 }, keys: null } });
    await server.start();
    await waitFor(() => redis.breaker.state === "closed");
    await other.stats();
    expect(await hitsSeenBy(one)).toBe(3);
  });
});
