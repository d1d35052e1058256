import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { type Limit, openRateLimiter, type RateLimiter } from "@mythic/shared/rate-limit";
import { type GuardedRedis, openGuardedRedis, RedisTimeout, waitForRedis } from "@mythic/shared/redis";
import { startRedis, type TestRedis } from "@mythic/testing/redis";
import { startSentinel } from "@mythic/testing/redis-sentinel";
import { waitFor } from "@mythic/testing/wait";
import { freshNamespace, HOUR } from "./set-up.ts";

const READS: Limit = { name: "reads", key: "reader", limit: 12, periodMs: HOUR, whenDown: "open" };
const WRITES: Limit = { name: "writes", key: "reader", limit: 12, periodMs: HOUR };
const INSTANCES = 3;
/** Longer than a busy machine keeps anything waiting. */
const TIMEOUT_MS = 1_500;

let stack: AsyncDisposableStack;
beforeEach(() => {
  stack = new AsyncDisposableStack();
});
afterEach(() => stack.disposeAsync());

async function open(url: string): Promise<{ readonly redis: GuardedRedis; readonly limiter: RateLimiter }> {
  const redis = openGuardedRedis(url, { probeAfterMs: 300, commandTimeoutMs: TIMEOUT_MS });
  stack.defer(() => redis.close());
  expect(await waitForRedis(redis, 10_000)).toBe(true);
  return { redis, limiter: openRateLimiter({ namespace: freshNamespace(), redis, instances: INSTANCES }) };
}

async function openOwn(args: readonly string[] = []) {
  const server: TestRedis = stack.use(await startRedis({ args }));
  return { server, ...(await open(server.url)) };
}

/** How many of so many calls are let through, and how long the slowest took. */
async function count(limiter: RateLimiter, limit: Limit, calls: number) {
  let [passed, slowestMs] = [0, 0];
  for (let call = 0; call < calls; call += 1) {
    const before = performance.now();
    if ((await limiter.limit([limit])).allowed) passed += 1;
    slowestMs = Math.max(slowestMs, performance.now() - before);
  }
  return { passed, slowestMs };
}

const remaining = async (limiter: RateLimiter, limit: Limit) => {
  const { tier, limits } = await limiter.peek([limit]);
  return { tier, remaining: limits[0]?.remaining };
};

describe.each(["frozen", "gone"] as const)("while Redis is %s", (state) => {
  const hurt = (server: TestRedis) => (state === "frozen" ? server.pause() : server.stop());
  const heal = (server: TestRedis) => (state === "frozen" ? server.resume() : server.start());

  test("reads pass, writes are held to this process's share, and nobody waits for it but the first", async () => {
    const { server, limiter } = await openOwn();
    await hurt(server);
    const first = await count(limiter, WRITES, 1);
    expect(first.passed).toBe(1);
    expect(first.slowestMs).toBeLessThan(TIMEOUT_MS + 5_000);
    const writes = await count(limiter, WRITES, 20);
    expect(writes.passed).toBe(WRITES.limit / INSTANCES - 1);
    const reads = await count(limiter, READS, 100);
    expect(reads.passed).toBe(100);
    expect(Math.max(writes.slowestMs, reads.slowestMs)).toBeLessThan(0.8 * TIMEOUT_MS);
    expect(await limiter.limit([WRITES])).toMatchObject({ allowed: false, tier: "local" });
    // Together, the write refuses.
    expect(await limiter.limit([READS, WRITES])).toMatchObject({ allowed: false, refusedBy: "writes" });
  });

  test("blocks and resets hold in this process, and say so", async () => {
    const { server, redis, limiter } = await openOwn();
    await hurt(server);
    await waitFor(async () => (await limiter.limit([READS])).tier === "local");
    expect(await limiter.block(WRITES, HOUR)).toBe(false);
    expect(await limiter.limit([WRITES])).toMatchObject({ allowed: false });
    expect(await limiter.reset(WRITES)).toBe(false);
    expect(await limiter.limit([WRITES])).toMatchObject({ allowed: true });
    await limiter.block(WRITES, HOUR);
    await heal(server);
    await waitFor(() => redis.breaker.state === "closed");
    expect(await limiter.peek([WRITES])).toMatchObject({ allowed: false, tier: "redis" });
  });

  test("what was spent counts for all processes once it is back, by itself", async () => {
    const { server, redis, limiter } = await openOwn();
    const reservation = await limiter.reserve([{ ...WRITES, cost: 2 }]);
    await hurt(server);
    await waitFor(async () => (await limiter.limit([READS])).tier === "local");
    expect((await count(limiter, WRITES, 3)).passed).toBe(3);
    const inTheDark = await limiter.reserve([WRITES]);
    await heal(server);
    await waitFor(() => redis.breaker.state === "closed");
    // A server that was killed has forgotten what it knew.
    const known = state === "frozen" ? 2 : 0;
    expect(await remaining(limiter, WRITES)).toEqual({ tier: "redis", remaining: 12 - known - 4 });
    await inTheDark.release();
    expect(await remaining(limiter, WRITES)).toEqual({ tier: "redis", remaining: 12 - known - 3 });
    await reservation.release();
    expect(await remaining(limiter, WRITES)).toEqual({
      tier: "redis",
      remaining: state === "frozen" ? 9 : 11,
    });
  });

  test("who waits is let through by what this process may spend", async () => {
    const { server, limiter } = await openOwn();
    await limiter.limit([{ ...WRITES, cost: 12 }]);
    const waiting = limiter.wait([WRITES]);
    await hurt(server);
    await limiter.limit([READS]);
    // As if it had been woken by its timer.
    await limiter.reset(WRITES);
    expect(await waiting).toMatchObject({ allowed: true, tier: "local" });
  });
});

describe("an answer that was lost", () => {
  /** A real Redis, which does what it is told, and whose answers can get lost. */
  async function openLossy() {
    const { redis } = await openOwn();
    let isLossy = false;
    const run: GuardedRedis["run"] = async (commands) => {
      const reply = await redis.run(commands);
      if (isLossy) throw new RedisTimeout(200);
      return reply;
    };
    const { address, connection, breaker } = redis;
    const lossy: GuardedRedis = { address, connection, breaker, run, close: () => redis.close() };
    const limiter = openRateLimiter({ namespace: freshNamespace(), redis: lossy, instances: INSTANCES });
    return {
      limiter,
      lose: (loses: boolean) => {
        isLossy = loses;
      },
    };
  }

  test("to a refund: it is not given twice", async () => {
    const { limiter, lose } = await openLossy();
    await (await limiter.reserve([WRITES])).release();
    const reservation = await limiter.reserve([{ ...WRITES, cost: 8 }]);
    lose(true);
    expect(await limiter.limit([{ ...WRITES, cost: 4 }])).toMatchObject({ tier: "local", allowed: true });
    await reservation.release();
    lose(false);
    // Nobody here knows that Redis took the four as well, so they count twice, and that is all that there is.
    expect(await remaining(limiter, WRITES)).toEqual({ tier: "redis", remaining: 12 - 4 - 4 });
  });

  test("to a debt: it is charged at least once", async () => {
    const { limiter, lose } = await openLossy();
    const reservation = await limiter.reserve([{ ...WRITES, cost: 2 }]);
    lose(true);
    await reservation.settle({ writes: 7 });
    lose(false);
    expect((await remaining(limiter, WRITES)).remaining).toBeLessThanOrEqual(12 - 7);
  });

  test("that was known not to come: a refund that was never sent is made up for by what is spent here", async () => {
    const { server, redis, limiter } = await openOwn();
    const reservation = await limiter.reserve([{ ...WRITES, cost: 6 }]);
    await server.pause();
    await waitFor(async () => (await limiter.limit([{ ...WRITES, cost: 0 }])).tier === "local");
    expect((await count(limiter, WRITES, 4)).passed).toBe(4);
    await reservation.settle({ writes: 5 });
    await server.resume();
    await waitFor(() => redis.breaker.state === "closed");
    expect(await remaining(limiter, WRITES)).toEqual({ tier: "redis", remaining: 12 - 5 - 4 });
  });
});

describe("a Redis that is full", () => {
  test("lets reads pass and holds writes to this process's share, however it is asked, until there is room", async () => {
    const { redis, limiter } = await openOwn(["--maxmemory", "2mb"]);
    const filler = "x".repeat(100_000);
    for (let index = 0; ; index += 1) {
      const isFull = await redis
        .run((connection) => connection.set(`filler:${index}`, filler))
        .then(
          () => false,
          () => true,
        );
      if (isFull) break;
    }
    expect((await count(limiter, READS, 30)).passed).toBe(30);
    let passed = 0;
    for (let call = 0; call < 20; call += 1) {
      // What reads only is answered by Redis, and must not make this process forget what it spent.
      const [, decision] = await Promise.all([limiter.peek([WRITES]), limiter.limit([WRITES])]);
      if (decision.allowed) passed += 1;
    }
    expect(passed).toBe(WRITES.limit / INSTANCES);
    expect(redis.breaker.state).toBe("closed");
    await redis.run((connection) => connection.flushall());
    expect(await limiter.limit([WRITES])).toMatchObject({
      tier: "redis",
      allowed: true,
      limits: [{ remaining: 7 }],
    });
  });
});

describe("a fail-over by Sentinels", () => {
  test("keeps what was spent, and costs time-outs and no limits", async () => {
    const group = stack.use(await startSentinel());
    const { redis, limiter } = await open(group.url);
    await limiter.limit([{ ...WRITES, cost: 5 }]);
    const { redis: replica } = await open(group.replica.url);
    await waitFor(async () => Number(await replica.run((connection) => connection.dbsize())) === 1);
    await group.primary.stop();
    await waitFor(() => redis.breaker.state === "open");
    expect(await count(limiter, WRITES, 10)).toMatchObject({ passed: 4 });
    await waitFor(() => redis.breaker.state === "closed", { timeoutMs: 20_000 });
    // The Sentinels that did not decide hear of it a little later.
    await waitFor(async () => (await group.primaryPort()) === group.replica.port);
    expect(await remaining(limiter, WRITES)).toEqual({ tier: "redis", remaining: 12 - 5 - 4 });
    expect(await limiter.limit([{ ...WRITES, cost: 3 }])).toMatchObject({ tier: "redis", allowed: true });
    expect(await limiter.limit([WRITES])).toMatchObject({ tier: "redis", allowed: false });
  }, 40_000);
});
