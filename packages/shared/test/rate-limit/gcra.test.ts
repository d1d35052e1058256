import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { type Limit, openRateLimiter, type RateLimiter } from "@mythic/shared/rate-limit";
import type { GuardedRedis } from "@mythic/shared/redis";
import { redisUrl } from "@mythic/testing/redis";
import { Redis } from "ioredis";
import { type Charge, chargesOf } from "../../src/rate-limit/charge.ts";
import { NO_STAKE, type Purpose, type Stake } from "../../src/rate-limit/gcra.ts";
import { LocalTier } from "../../src/rate-limit/local-tier.ts";
import { RedisTier } from "../../src/rate-limit/redis-tier.ts";
import { Dice } from "./dice.ts";
import { clockedRedis, DrivenClock, freshNamespace, HOUR } from "./set-up.ts";
import { type Admission, fullestWindow } from "./windows.ts";

const SEEDS = [1, 2, 3, 4, 5];
const clock = new DrivenClock();
let redis: GuardedRedis;
beforeAll(async () => {
  redis = clockedRedis(new Redis(await redisUrl()), clock);
});
afterAll(() => redis.close());

/** Limits as different as they get: with all of their burst, little of it, none; and a second period. */
const LIMITS: readonly Limit[] = [
  { name: "whole", key: "reader", limit: 100, periodMs: HOUR },
  { name: "tenth", key: "reader", limit: 300, periodMs: HOUR, burst: 0.1 },
  { name: "even", key: "reader", limit: 150, periodMs: HOUR, burst: 0 },
  { name: "daily", key: "reader", limit: 1_000, periodMs: 24 * HOUR, burst: 0.5 },
];

describe("the algorithm in Lua and in TypeScript", () => {
  test.each(SEEDS)("come to the same result for the same calls at the same times (seed %d)", async (seed) => {
    const dice = new Dice(seed);
    const [script, here] = [new RedisTier(redis), new LocalTier(clock.now)];
    const namespace = freshNamespace();
    const chargesFor = (limits: readonly Limit[]): Charge[] =>
      chargesOf(
        limits.map((limit) => ({ ...limit, cost: dice.cost(limit.limit) })),
        { namespace, instances: 1 },
      );
    let [passed, refused] = [0, 0];
    for (let call = 0; call < 400; call += 1) {
      clock.advance(dice.upTo(HOUR / 100));
      const charges = chargesFor(dice.some(LIMITS));
      if (dice.happens(0.15)) {
        const adjustments = charges.map(({ key, chargeMs }) => ({
          key,
          deltaMs: dice.happens(0.5) ? chargeMs : -chargeMs,
          blockMs: dice.happens(0.1) ? dice.upTo(HOUR / 20) : 0,
        }));
        await script.adjust(adjustments);
        for (const adjustment of adjustments) here.adjust(adjustment);
        continue;
      }
      const purpose = dice.pick<Purpose>(["take", "take", "peek", "claim"]);
      const stake = (): Stake => ({ creditMs: dice.upTo(HOUR / 20), aheadMs: dice.upTo(HOUR / 20) });
      const hasStakes = purpose === "claim" && dice.happens(0.5);
      const stakes = hasStakes ? charges.map(() => (dice.happens(0.5) ? stake() : NO_STAKE)) : [];
      const said = (await script.take(charges, purpose, stakes))?.verdict;
      if (said === undefined) throw new Error("Redis did not answer.");
      const expected = here.take(charges, purpose, stakes);
      expect(said.waitMs).toBeCloseTo(expected.waitMs, 1);
      expect(said.backlogsMs).toHaveLength(charges.length);
      for (const [index, backlogMs] of expected.backlogsMs.entries()) {
        expect(said.backlogsMs[index]).toBeCloseTo(backlogMs, 1);
      }
      for (const [index, blockedMs] of said.blocksMs.entries()) {
        expect(blockedMs).toBeCloseTo(expected.blocksMs[index] ?? 0, 1);
      }
      expect(said.blocksMs.length > 0).toBe(expected.blocksMs.some((blockedMs) => blockedMs > 0));
      if (expected.waitMs > 0) refused += 1;
      else passed += 1;
    }
    expect(refused).toBeGreaterThan(40);
    expect(passed).toBeGreaterThan(20);
  });
});

/** A bucket that leaks: the textbook's way to say the same, in units. */
class LeakyBucket {
  readonly limit: Limit;
  #level = 0;
  #at = clock.now();

  constructor(limit: Limit) {
    this.limit = limit;
  }

  level(): number {
    const { limit, periodMs } = this.limit;
    this.#level = Math.max(0, this.#level - ((clock.now() - this.#at) * limit) / periodMs);
    this.#at = clock.now();
    return this.#level;
  }

  /** How much too full it is for a cost; 0 or less when it is not. */
  excess(cost: number): number {
    const burst = this.limit.limit * (this.limit.burst ?? 1);
    return this.level() - Math.max(burst - cost, 0);
  }

  add(units: number): void {
    this.#level = Math.max(0, this.level() + units);
  }
}

const TIERS = ["redis", "local"] as const;
const SLACK_UNITS = 0.001;

describe.each(TIERS)("random calls, decided by %s,", (tier) => {
  const open = (): RateLimiter =>
    openRateLimiter({
      namespace: freshNamespace(),
      redis: tier === "redis" ? redis : null,
      clock: clock.now,
    });

  test.each(SEEDS)(
    "are decided as by leaky buckets, and no window gets more than its limit and the larger of burst and largest cost (seed %d)",
    async (seed) => {
      const dice = new Dice(seed);
      const limiter = open();
      const buckets = LIMITS.map((limit) => ({
        bucket: new LeakyBucket(limit),
        admissions: [] as Admission[],
      }));
      let refused = 0;
      for (let call = 0; call < 500; call += 1) {
        clock.advance(dice.happens(0.02) ? dice.upTo(HOUR) : dice.upTo(HOUR / 150));
        const chosen = dice.some(buckets);
        const costs = chosen.map(({ bucket }) => dice.cost(bucket.limit.limit));
        const limits = chosen.map(({ bucket }, index) => ({ ...bucket.limit, cost: costs[index] ?? 0 }));
        const excess = Math.max(...chosen.map(({ bucket }, index) => bucket.excess(costs[index] ?? 0)));
        const { allowed, retryAfterMs, tier: decidedBy } = await limiter.limit(limits);
        if (Math.abs(excess) > SLACK_UNITS) expect(allowed).toBe(excess <= 0);
        if (allowed) {
          for (const [index, { bucket, admissions }] of chosen.entries()) {
            bucket.add(costs[index] ?? 0);
            admissions.push({ at: clock.now(), cost: costs[index] ?? 0 });
          }
          continue;
        }
        refused += 1;
        if (dice.happens(0.2)) {
          clock.advance(retryAfterMs - 1);
          expect((await limiter.peek(limits)).allowed).toBe(false);
          clock.advance(1);
          if (decidedBy !== "denied-here") expect((await limiter.peek(limits)).allowed).toBe(true);
        }
      }
      expect(refused).toBeGreaterThan(50);
      expect(refused).toBeLessThan(450);
      for (const { bucket, admissions } of buckets) {
        const { limit, periodMs, burst = 1 } = bucket.limit;
        const largest = Math.max(...admissions.map(({ cost }) => cost));
        expect(fullestWindow(admissions, periodMs)).toBeLessThanOrEqual(
          limit + Math.max(burst * limit, largest) + SLACK_UNITS,
        );
        // As much as that is let through, too: a limiter that refuses all would do no harm.
        const periods = (clock.now() - (admissions[0]?.at ?? 0)) / periodMs;
        const passed = admissions.reduce((sum, { cost }) => sum + cost, 0);
        expect(passed).toBeGreaterThan(0.1 * limit * Math.min(periods, 1));
      }
    },
  );

  test.each(SEEDS)("settle as leaky buckets do, with refunds and with debt (seed %d)", async (seed) => {
    const dice = new Dice(seed);
    const limiter = open();
    const [limit] = LIMITS;
    if (limit === undefined) throw new Error("There is no limit.");
    const bucket = new LeakyBucket(limit);
    const pending: { readonly cost: number; settle(units: number): Promise<void>; readonly at: number }[] =
      [];
    let refused = 0;
    for (let call = 0; call < 400; call += 1) {
      clock.advance(dice.upTo(HOUR / 60));
      const due = dice.happens(0.5) ? pending.shift() : undefined;
      if (due !== undefined) {
        const actual = dice.upTo(due.cost * 1.5);
        await due.settle(actual);
        if (actual > due.cost || clock.now() - due.at <= HOUR) bucket.add(actual - due.cost);
      }
      const cost = dice.upTo(20);
      const excess = bucket.excess(cost);
      const reservation = await limiter.reserve([{ ...limit, cost }]);
      if (Math.abs(excess) > SLACK_UNITS) expect(reservation.allowed).toBe(excess <= 0);
      if (reservation.allowed) {
        bucket.add(cost);
        pending.push({ cost, at: clock.now(), settle: (units) => reservation.settle({ whole: units }) });
      } else refused += 1;
    }
    expect(refused).toBeGreaterThan(40);
    expect(refused).toBeLessThan(360);
  });
});
