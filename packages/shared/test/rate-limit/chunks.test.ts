import { afterAll, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { type Limit, openRateLimiter, type RateLimiter } from "@mythic/shared/rate-limit";
import type { GuardedRedis } from "@mythic/shared/redis";
import { redisUrl } from "@mythic/testing/redis";
import { Redis } from "ioredis";
import { Dice } from "./dice.ts";
import { clockedRedis, counted, DrivenClock, freshNamespace, HOUR } from "./set-up.ts";
import { type Admission, fullestWindow } from "./windows.ts";

const SEEDS = [1, 2, 3, 4, 5];
const READS: Limit = { name: "reads", key: "reader", limit: 1_000, periodMs: HOUR, chunk: 50 };

const clock = new DrivenClock();
let redis: GuardedRedis;
beforeAll(async () => {
  redis = clockedRedis(new Redis(await redisUrl()), clock);
});
afterAll(() => redis.close());

/** As many processes as told that share their limits. */
function openProcesses(instances: number) {
  const namespace = freshNamespace();
  const { trips, redis: shared } = counted(redis);
  const open = () => openRateLimiter({ namespace, redis: shared, instances, clock: clock.now });
  return { limiters: Array.from({ length: instances }, open), trips };
}

async function allowed(limiter: RateLimiter, limits: readonly Limit[]): Promise<boolean> {
  return (await limiter.limit(limits)).allowed;
}

describe("a limit with chunks", () => {
  let limiter: RateLimiter;
  let trips: () => number;
  beforeEach(() => {
    const processes = openProcesses(1);
    trips = processes.trips;
    limiter = processes.limiters[0] as RateLimiter;
  });

  test("asks Redis once for each chunk, and says who decided and what is left of the limit", async () => {
    const decisions = [];
    for (let call = 0; call < 100; call += 1) decisions.push(await limiter.limit([READS]));
    expect(trips()).toBe(2);
    expect(decisions.map(({ tier }) => tier)).toEqual(
      decisions.map((_, call) => (call % 50 === 0 ? "redis" : "chunk")),
    );
    // What the burst pays for chunks is nobody's to spend at once.
    expect(decisions.map(({ limits }) => limits[0]?.remaining)).toEqual(
      decisions.map((_, call) => 949 - call),
    );
  });

  test("asks Redis once for all who call at the same time", async () => {
    const calls = Array.from({ length: 50 }, () => allowed(limiter, [READS]));
    expect((await Promise.all(calls)).every(Boolean)).toBe(true);
    expect(trips()).toBe(1);
    const more = Array.from({ length: 120 }, () => allowed(limiter, [READS]));
    expect((await Promise.all(more)).every(Boolean)).toBe(true);
    expect(trips()).toBe(4);
  });

  test("lets through as much as without chunks in the end: where no chunk is to be had, single costs are", async () => {
    let passed = 0;
    while (await allowed(limiter, [READS])) passed += 1;
    expect(passed).toBe(950);
    clock.advance(HOUR / 1_000);
    expect([await allowed(limiter, [READS]), await allowed(limiter, [READS])]).toEqual([true, false]);
  });

  test("loses what is not spent within a period", async () => {
    await limiter.limit([READS]);
    clock.advance(HOUR - 1);
    expect(await limiter.limit([READS])).toMatchObject({ tier: "chunk" });
    clock.advance(1);
    expect(await limiter.limit([READS])).toMatchObject({ tier: "redis", allowed: true });
  });

  test("is checked together with others: all or none", async () => {
    const scarce: Limit = { name: "scarce", key: "reader", limit: 9, periodMs: HOUR, chunk: 3 };
    let passed = 0;
    while (await allowed(limiter, [READS, scarce])) passed += 1;
    expect(passed).toBe(6);
    for (let call = 0; call < 944; call += 1) expect(await allowed(limiter, [READS])).toBe(true);
    expect(await allowed(limiter, [READS])).toBe(false);
  });

  test("has none where the burst is too small to pay for them, or the cost too large", async () => {
    for (const limit of [
      { ...READS, burst: 0.001 },
      { ...READS, name: "large", cost: 50 },
    ]) {
      for (let call = 0; call < 4; call += 1) {
        expect((await limiter.limit([limit])).tier).not.toBe("chunk");
        clock.advance(HOUR / 10);
      }
    }
  });

  test("that is blocked or reset forgets the units held here", async () => {
    await limiter.limit([READS]);
    await limiter.block(READS, HOUR);
    expect(await limiter.limit([READS])).toMatchObject({ allowed: false });
    await limiter.reset(READS);
    expect(await limiter.limit([READS])).toMatchObject({ allowed: true, tier: "redis" });
  });
});

describe("chunks in several processes", () => {
  test.each(SEEDS)(
    "never let more through than the limit and its burst in any window (seed %d)",
    async (seed) => {
      const dice = new Dice(seed);
      const instances = 2 + (seed % 3);
      const { limiters, trips } = openProcesses(instances);
      const limit: Limit = { ...READS, limit: 400, burst: dice.pick([0.2, 0.5, 1]), chunk: 40 };
      const admissions: Admission[] = [];
      let refused = 0;
      for (let call = 0; call < 4_000; call += 1) {
        if (dice.happens(0.004)) clock.advance(dice.upTo(HOUR / 2));
        clock.advance(dice.upTo(HOUR / 1_500));
        const cost = dice.pick([1, 1, 1, 2.5]);
        if (await allowed(dice.pick(limiters), [{ ...limit, cost }]))
          admissions.push({ at: clock.now(), cost });
        else refused += 1;
      }
      expect(fullestWindow(admissions, HOUR)).toBeLessThanOrEqual(limit.limit * (1 + (limit.burst ?? 1)));
      expect(refused).toBeGreaterThan(50);
      expect(admissions.length).toBeGreaterThan(1_000);
      expect(trips()).toBeLessThan(4_000);
    },
  );
});
