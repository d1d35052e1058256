import { afterAll, beforeAll, beforeEach, expect, test } from "@jest/globals";
import { type Limit, openRateLimiter, type RateLimiter } from "@mythic/shared/rate-limit";
import type { GuardedRedis } from "@mythic/shared/redis";
import { redisUrl } from "@mythic/testing/redis";
import { Redis } from "ioredis";
import { clockedRedis, counted, DrivenClock, freshNamespace, HOUR } from "./set-up.ts";

const TEN: Limit = { name: "ten", key: "reader", limit: 10, periodMs: HOUR };
const FIVE: Limit = { ...TEN, name: "five", limit: 5 };
const BRISK: Limit = { ...TEN, name: "brisk", periodMs: 10_000 };

const clock = new DrivenClock();
let redis: GuardedRedis;
let limiter: RateLimiter;
/** In another process. */
let other: RateLimiter;
let trips: () => number;

beforeAll(async () => {
  redis = clockedRedis(new Redis(await redisUrl()), clock);
});
afterAll(() => redis.close());
beforeEach(() => {
  const shared = counted(redis);
  trips = shared.trips;
  const namespace = freshNamespace();
  limiter = openRateLimiter({ namespace, redis: shared.redis, clock: clock.now });
  other = openRateLimiter({ namespace, redis, clock: clock.now });
});

/** Spends all of a limit and is refused once. */
async function exhaust(limit: Limit): Promise<void> {
  await limiter.limit([{ ...limit, cost: limit.limit }]);
  expect(await limiter.limit([limit])).toMatchObject({ allowed: false, tier: "redis" });
}

test("what was refused is refused again without asking Redis, and with the time that is left", async () => {
  await exhaust(BRISK);
  const before = trips();
  for (let call = 0; call < 100; call += 1) {
    clock.advance(1);
    expect(await limiter.limit([BRISK])).toMatchObject({
      allowed: false,
      tier: "denied-here",
      refusedBy: "brisk",
      retryAfterMs: 999 - call,
    });
  }
  expect(trips()).toBe(before);
});

test("a refusal is forgotten as soon as the call would pass", async () => {
  await exhaust(BRISK);
  clock.advance(999);
  expect(await limiter.limit([BRISK])).toMatchObject({ tier: "denied-here" });
  clock.advance(1);
  expect(await limiter.limit([BRISK])).toMatchObject({ allowed: true, tier: "redis" });
});

test("Redis is asked again after five seconds, as another process may have given something back", async () => {
  await exhaust(TEN);
  await other.reset(TEN);
  expect(await limiter.limit([TEN])).toMatchObject({ allowed: false, tier: "denied-here" });
  clock.advance(5_000);
  expect(await limiter.limit([TEN])).toMatchObject({ allowed: true, tier: "redis" });
});

test("a refusal is forgotten when this process resets the limit or gives something back", async () => {
  await exhaust(TEN);
  await limiter.reset(TEN);
  const reservation = await limiter.reserve([{ ...TEN, cost: 10 }]);
  expect(await limiter.limit([TEN])).toMatchObject({ allowed: false });
  await reservation.settle({ ten: 4 });
  expect(await limiter.limit([{ ...TEN, cost: 6 }])).toMatchObject({ allowed: true });
});

test("one limit that is known to refuse refuses any call that has it; another limit is not held back", async () => {
  await exhaust(TEN);
  const before = trips();
  expect(await limiter.limit([FIVE, TEN])).toMatchObject({
    allowed: false,
    tier: "denied-here",
    refusedBy: "ten",
    limits: [{ name: "ten" }],
  });
  expect(trips()).toBe(before);
  expect(await limiter.limit([FIVE])).toMatchObject({ allowed: true, tier: "redis" });
});

test("a large cost that was refused does not hold back a small one", async () => {
  await limiter.limit([{ ...TEN, cost: 7 }]);
  expect(await limiter.limit([{ ...TEN, cost: 5 }])).toMatchObject({ allowed: false });
  expect(await limiter.limit([{ ...TEN, cost: 3 }])).toMatchObject({ allowed: true, tier: "redis" });
});

test("a block is remembered as long as it is, whatever the cost", async () => {
  await limiter.block(TEN, 3_000);
  expect(await limiter.limit([TEN])).toMatchObject({ allowed: false, tier: "redis", retryAfterMs: 3_000 });
  clock.advance(1_000);
  for (const cost of [0, 1, 10]) {
    expect(await limiter.limit([{ ...TEN, cost }])).toMatchObject({
      allowed: false,
      tier: "denied-here",
      retryAfterMs: 2_000,
      limits: [{ remaining: 0, resetMs: 2_000 }],
    });
  }
  clock.advance(2_000);
  expect(await limiter.limit([{ ...TEN, cost: 10 }])).toMatchObject({ allowed: true });
});

test("a reservation always asks, as others may have settled", async () => {
  await exhaust(TEN);
  await other.reset(TEN);
  expect(await limiter.reserve([TEN])).toMatchObject({ allowed: true, tier: "redis" });
});
