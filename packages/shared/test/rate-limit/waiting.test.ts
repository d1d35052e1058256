import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { type Limit, openRateLimiter, type RateLimiter } from "@mythic/shared/rate-limit";
import { type GuardedRedis, openGuardedRedis, waitForRedis } from "@mythic/shared/redis";
import { PATIENT_MS, redisUrl } from "@mythic/testing/redis";
import { waitFor } from "@mythic/testing/wait";
import { freshNamespace, HOUR } from "./set-up.ts";

let redis: GuardedRedis;
beforeAll(async () => {
  redis = openGuardedRedis(await redisUrl(), { commandTimeoutMs: PATIENT_MS });
  expect(await waitForRedis(redis, 5_000)).toBe(true);
});
afterAll(() => redis.close());

/** Fifty a second, ten at once. */
const BRISK: Limit = { name: "brisk", key: "reader", limit: 50, periodMs: 1_000, burst: 0.2 };
const SLOW: Limit = { name: "slow", key: "reader", limit: 10, periodMs: HOUR };

describe.each(["Redis", "this process"])("waiting for limits in %s", (place) => {
  let limiter: RateLimiter;
  /** In another process, when limits are shared; this is the only one, when they are not. */
  let other: RateLimiter;
  let stop: AbortController;
  beforeEach(() => {
    const options = { namespace: freshNamespace(), redis: place === "Redis" ? redis : null };
    limiter = openRateLimiter(options);
    other = place === "Redis" ? openRateLimiter(options) : limiter;
    stop = new AbortController();
  });
  afterEach(() => stop.abort());

  /** Takes what it can get, without waiting in line, until the test ends. */
  async function crowd(limit: Limit): Promise<void> {
    while (!stop.signal.aborted) {
      await other.limit([limit]);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  test("lets through at once what there is, and the rest at the pace of the limit", async () => {
    const before = performance.now();
    const decisions = await Promise.all(Array.from({ length: 25 }, () => limiter.wait([BRISK])));
    expect(decisions.every(({ allowed }) => allowed)).toBe(true);
    // Ten at once, fifteen after 20 ms each.
    expect(performance.now() - before).toBeGreaterThanOrEqual(295);
    // One a period would take fifteen seconds.
    expect(performance.now() - before).toBeLessThan(6_000);
  });

  test("lets through in the order of arrival, small or large", async () => {
    const order: number[] = [];
    const costs = [10, 3, 40, 1, 2, 1];
    await Promise.all(
      costs.map(async (cost, index) => {
        await limiter.wait([{ ...BRISK, cost }]);
        order.push(index);
      }),
    );
    expect(order).toEqual([0, 1, 2, 3, 4, 5]);
  });

  test("lets a large one through in a crowd of small ones that do not wait", async () => {
    const crowding = crowd(BRISK);
    const before = performance.now();
    const { allowed } = await limiter.wait([{ ...BRISK, cost: 30 }]);
    expect(allowed).toBe(true);
    // The crowd never ends.
    expect(performance.now() - before).toBeLessThan(15_000);
    stop.abort();
    await crowding;
  });

  test("rejects with the reason of a signal that aborts, takes nothing, and lets the next one come", async () => {
    await limiter.limit([{ ...SLOW, cost: 10 }]);
    const abort = new AbortController();
    const gone = limiter.wait([{ ...SLOW, cost: 5 }], { signal: abort.signal });
    const next = limiter.wait([{ ...SLOW, cost: 8 }]);
    await waitFor(async () => (await limiter.peek([SLOW])).limits[0]?.remaining === 0);
    abort.abort(new Error("enough"));
    await expect(gone).rejects.toThrow("enough");
    await limiter.reset(SLOW);
    expect(await next).toMatchObject({ allowed: true, limits: [{ remaining: 2 }] });
  });

  test("does not begin when the signal has aborted already", async () => {
    const signal = AbortSignal.abort(new Error("too late"));
    await expect(limiter.wait([SLOW], { signal })).rejects.toThrow("too late");
    expect((await limiter.peek([SLOW])).limits).toMatchObject([{ remaining: 10 }]);
  });

  test("hears at once of what others in the process give back", async () => {
    const held = await limiter.reserve([{ ...SLOW, cost: 10 }]);
    const before = performance.now();
    const waiting = limiter.wait([{ ...SLOW, cost: 4 }]);
    await held.settle({ slow: 6 });
    expect(await waiting).toMatchObject({ allowed: true });
    // By its timer it would look again in minutes.
    expect(performance.now() - before).toBeLessThan(10_000);
  });

  test("gives something that can be settled and released", async () => {
    const reservation = await limiter.wait([{ ...SLOW, cost: 8 }]);
    await reservation.settle({ slow: 3 });
    expect((await limiter.peek([SLOW])).limits).toMatchObject([{ remaining: 7 }]);
  });

  test("waits for several limits until all of them allow it, and takes of all or none", async () => {
    const tight: Limit = { name: "tight", key: "reader", limit: 5, periodMs: 6_000, burst: 0 };
    await limiter.limit([tight]);
    const waiting = limiter.wait([SLOW, tight]);
    expect((await limiter.peek([SLOW])).limits).toMatchObject([{ remaining: 10 }]);
    expect((await waiting).allowed).toBe(true);
    expect((await limiter.peek([SLOW])).limits).toMatchObject([{ remaining: 9 }]);
  });
});
