import { afterAll, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { type Limit, openRateLimiter, type RateLimiter } from "@mythic/shared/rate-limit";
import type { GuardedRedis } from "@mythic/shared/redis";
import { redisUrl } from "@mythic/testing/redis";
import { Redis } from "ioredis";
import { chargesOf } from "../../src/rate-limit/charge.ts";
import type { Judgement } from "../../src/rate-limit/gcra.ts";
import { Place } from "../../src/rate-limit/place.ts";
import { Tiers } from "../../src/rate-limit/tiers.ts";
import type { Attempt } from "../../src/rate-limit/waiting-line.ts";
import { Dice } from "./dice.ts";
import { clockedRedis, DrivenClock, freshNamespace, HOUR } from "./set-up.ts";
import { type Admission, fullestWindow } from "./windows.ts";

const SEEDS = [1, 2, 3, 4, 5];
const LIMIT: Limit = { name: "limit", key: "reader", limit: 100, periodMs: HOUR, burst: 0.2 };
const clock = new DrivenClock();

let redis: GuardedRedis;
let namespace: string;
/** Two processes. */
let here: Process;
let elsewhere: Process;
let limiter: RateLimiter;

interface Process {
  readonly tiers: Tiers;
  place(cost: number): Place;
  takes(cost: number): Promise<boolean>;
}

function openProcess(): Process {
  const tiers = new Tiers({ redis, instances: 1, clock: clock.now });
  const charges = (cost: number) => chargesOf([{ ...LIMIT, cost }], { namespace, instances: 1 });
  return {
    tiers,
    place: (cost) => new Place(charges(cost), tiers, clock.now),
    takes: async (cost) => (await tiers.take(charges(cost), "take")).verdict.waitMs <= 0,
  };
}

beforeAll(async () => {
  redis = clockedRedis(new Redis(await redisUrl()), clock);
});
afterAll(() => redis.close());
beforeEach(() => {
  namespace = freshNamespace();
  [here, elsewhere] = [openProcess(), openProcess()];
  limiter = openRateLimiter({ namespace, redis, clock: clock.now });
});

const passes = (attempt: Attempt<Judgement>) => "outcome" in attempt;
const drainsIn = async () => (await limiter.peek([LIMIT])).limits[0]?.resetMs;

describe("the place of one who waits", () => {
  test("is taken once it was overtaken, and others come behind it", async () => {
    expect(await elsewhere.takes(20)).toBe(true);
    const place = here.place(50);
    expect(passes(await place.attempt(false))).toBe(false);
    expect(await drainsIn()).toBe(HOUR / 5);
    expect(passes(await place.attempt(true))).toBe(false);
    expect(await drainsIn()).toBe((HOUR / 10) * 7);
    clock.advance(HOUR / 5);
    expect(await elsewhere.takes(1)).toBe(false);
    expect(passes(await place.attempt(true))).toBe(true);
    expect(await drainsIn()).toBe(HOUR / 2);
  });

  test("is held over attempts, and costs once", async () => {
    await elsewhere.takes(20);
    const place = here.place(50);
    for (let attempt = 0; attempt < 5; attempt += 1) {
      await place.attempt(true);
      expect(await drainsIn()).toBe((HOUR / 10) * 7 - (attempt * HOUR) / 100);
      clock.advance(HOUR / 100);
    }
  });

  test("is given back by who leaves, as far as it has not drained", async () => {
    await elsewhere.takes(20);
    const place = here.place(50);
    await place.attempt(true);
    await place.leave();
    expect(await drainsIn()).toBe(HOUR / 5);
    await place.attempt(true);
    clock.advance(HOUR / 2);
    await place.leave();
    expect(await drainsIn()).toBe(0);
    await place.leave();
    expect(await drainsIn()).toBe(0);
  });

  test.each(SEEDS)(
    "lets large costs pass among small ones, and never more than the limit allows (seed %d)",
    async (seed) => {
      const dice = new Dice(seed);
      const admissions: Admission[] = [];
      const admit = (cost: number) => void admissions.push({ at: clock.now(), cost });
      const waiting: { readonly place: Place; readonly cost: number; isOvertaken: boolean }[] = [];
      let large = 0;
      for (let turn = 0; turn < 1_500; turn += 1) {
        clock.advance(dice.upTo(HOUR / 300));
        // A crowd in another process takes whatever it gets.
        if (await elsewhere.takes(1)) admit(1);
        if (waiting.length < 3 && dice.happens(0.2)) {
          const cost = 10 + dice.upTo(40);
          waiting.push({ place: dice.pick([here, elsewhere]).place(cost), cost, isOvertaken: false });
        }
        const one = waiting[Math.floor(dice.upTo(waiting.length))];
        if (one === undefined) continue;
        if (dice.happens(0.03)) {
          await one.place.leave();
          waiting.splice(waiting.indexOf(one), 1);
        } else if (passes(await one.place.attempt(one.isOvertaken))) {
          admit(one.cost);
          large += 1;
          waiting.splice(waiting.indexOf(one), 1);
        } else one.isOvertaken = true;
      }
      expect(fullestWindow(admissions, HOUR)).toBeLessThanOrEqual(LIMIT.limit + 50 + 0.001);
      expect(large).toBeGreaterThan(4);
    },
  );
});
