import { afterAll, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { type Limit, openRateLimiter, type RateLimiter } from "@mythic/shared/rate-limit";
import { type GuardedRedis, RedisTimeout } from "@mythic/shared/redis";
import { redisUrl } from "@mythic/testing/redis";
import { Redis } from "ioredis";
import { clockedRedis, DrivenClock, freshNamespace, HOUR, MINUTE } from "./set-up.ts";
import { type Admission, fullestWindow } from "./windows.ts";

/* What users of other limiters complained about in public, each with its thread. */

const clock = new DrivenClock();
let redis: GuardedRedis;
beforeAll(async () => {
  redis = clockedRedis(new Redis(await redisUrl()), clock);
});
afterAll(() => redis.close());

let namespace: string;
let limiter: RateLimiter;
const open = () => openRateLimiter({ namespace, redis, clock: clock.now });
beforeEach(() => {
  namespace = freshNamespace();
  limiter = open();
});

const BUDGET: Limit = { name: "budget", key: "team", limit: 100, periodMs: HOUR };
const TOKENS: Limit = { name: "tokens", key: "model", limit: 1_000, periodMs: MINUTE, burst: 0.1 };
const REQUESTS: Limit = { name: "requests", key: "model", limit: 60, periodMs: MINUTE };

describe("complaints", () => {
  test("BerriAI/litellm#14204: a budget that is in constant use comes back all the same", async () => {
    let passed = 0;
    for (let minute = 0; minute < 5 * 60; minute += 1) {
      clock.advance(MINUTE);
      for (let call = 0; call < 5; call += 1) {
        if ((await limiter.limit([BUDGET])).allowed) passed += 1;
      }
    }
    // The burst, and what drained in the 299 minutes after it.
    expect(passed).toBeGreaterThanOrEqual(597);
    expect(passed).toBeLessThanOrEqual(599);
  });

  test("BerriAI/litellm#27001: a refusal does not leak tokens, neither its own nor those of other limits", async () => {
    await limiter.reserve([{ ...REQUESTS, cost: 59 }]);
    for (let call = 0; call < 30; call += 1) {
      expect(
        await limiter.reserve([
          { ...TOKENS, cost: 100 },
          { ...REQUESTS, cost: 2 },
        ]),
      ).toMatchObject({
        allowed: false,
      });
    }
    expect(await limiter.peek([TOKENS, REQUESTS])).toMatchObject({
      limits: [{ remaining: 100 }, { remaining: 1 }],
    });
  });

  test("BerriAI/litellm#10555: a limit of tokens holds for all replicas together", async () => {
    const replicas = Array.from({ length: 5 }, open);
    const admissions: Admission[] = [];
    for (let call = 0; call < 600; call += 1) {
      clock.advance(MINUTE / 200);
      for (const replica of replicas) {
        const { allowed } = await replica.reserve([{ ...TOKENS, cost: 40 }, REQUESTS]);
        if (allowed) admissions.push({ at: clock.now(), cost: 40 });
      }
    }
    expect(fullestWindow(admissions, MINUTE)).toBeLessThanOrEqual(1_100);
    expect(admissions.length * 40).toBeGreaterThan(2_900);
  });

  test("BerriAI/litellm#30211: a Redis that times out costs no request its reservation, and none its settlement", async () => {
    const run: GuardedRedis["run"] = () => Promise.reject(new RedisTimeout(200));
    const silent = openRateLimiter({ namespace, redis: { ...redis, run }, clock: clock.now });
    const reservation = await silent.reserve([{ ...TOKENS, cost: 80 }]);
    expect(reservation).toMatchObject({ allowed: true, tier: "local" });
    await reservation.settle({ tokens: 90 });
    expect(await silent.reserve([{ ...TOKENS, cost: 20 }])).toMatchObject({ allowed: false, tier: "local" });
    await expect(silent.block(TOKENS, MINUTE)).resolves.toBe(false);
    await expect(silent.reset(TOKENS)).resolves.toBe(false);
  });

  test("block/buzz#3477: there is no edge of a window at which twice the limit passes in a moment", async () => {
    const limit: Limit = { ...BUDGET, burst: 1 };
    const admissions: Admission[] = [];
    // At rest, then all at once around every full hour and half hour.
    for (let edge = 0; edge < 8; edge += 1) {
      clock.advance(HOUR / 2 - 20);
      for (let call = 0; call < 250; call += 1) {
        if (call === 125) clock.advance(20);
        if ((await limiter.limit([limit])).allowed) admissions.push({ at: clock.now(), cost: 1 });
      }
    }
    expect(fullestWindow(admissions, MINUTE)).toBeLessThanOrEqual(102);
    expect(admissions.length).toBeGreaterThan(400);
  });

  test("rate-limiter-flexible: what is refused is not spent, and what is free can be had", async () => {
    const limit: Limit = { ...BUDGET, limit: 1_000 };
    expect(await limiter.limit([{ ...limit, cost: 950 }])).toMatchObject({ allowed: true });
    expect(await limiter.limit([{ ...limit, cost: 100 }])).toMatchObject({ allowed: false });
    expect(await limiter.limit([{ ...limit, cost: 10 }])).toMatchObject({ allowed: true });
  });

  test("otovo/redis-rate-limiters#22: a call may cost more than one, and a fraction", async () => {
    expect(await limiter.limit([{ ...BUDGET, cost: 62.5 }])).toMatchObject({ limits: [{ remaining: 37 }] });
  });
});
