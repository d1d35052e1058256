import { beforeEach, describe, expect, test } from "@jest/globals";
import { waitFor } from "@mythic/testing/wait";
import { failureOf } from "../asking.ts";
import { ask, CACHED, callerWith, codeOf, requestFor, Seen, stepCaller, stream } from "./asking.ts";
import { type House, type Member, useHouses } from "./set-up.ts";

const DAY_MS = 86_400_000;

/** How often it was looked for an answer in vain. */
function missesOf({ cache }: Member): number {
  const { misses } = cache.own().total;
  return Object.values(misses).reduce((sum, count) => sum + count, 0);
}

describe.each([
  ["with Redis", "shared"],
  ["without Redis", null],
] as const)("%s", (_name, redis) => {
  const houses = useHouses(redis);
  let house: House;
  beforeEach(async () => {
    house = await houses.build();
  });

  const other = requestFor({ seed: 1 });

  describe("a 429", () => {
    async function cooled(): Promise<Member> {
      const member = await house.open();
      await ask(member);
      const does = { kind: "status", status: 429, headers: { "retry-after": "7200" } } as const;
      house.fake.script({ times: 1, does });
      const error = await failureOf(ask(member, { request: other }));
      expect(error).toMatchObject({ code: "model_rate_limited", retryAfterMs: 7_200_000, postpones: true });
      expect(house.fake.calls()).toHaveLength(2);
      return member;
    }

    test("is not tried again, and holds back all calls to the model for as long as it says, however long", async () => {
      const member = await cooled();
      for (const caller of [callerWith(), stepCaller()]) {
        const error = await failureOf(ask(member, { request: requestFor({ seed: 2 }), caller }));
        expect(error).toMatchObject({ code: "model_busy", postpones: true });
        expect(error.retryAfterMs).toBeGreaterThan(7_100_000);
      }
      expect(house.fake.calls()).toHaveLength(2);
      expect([...house.ledger.rows.values()].map(({ state, cost }) => [state, cost === 0])).toEqual([
        ["answered", false],
        ["failed", true],
      ]);
    });

    test("leaves what is kept to be had, and other models to be asked", async () => {
      const member = await cooled();
      expect((await ask(member)).source).toEqual(CACHED);
      expect((await ask(member, { request: requestFor({ model: "gpt-5" }) })).source).toBe("leader");
    });
  });

  describe("a limit of tokens per day", () => {
    const userLimits = { tokensPerDay: 650, costPerDay: null };
    const sized = (seed: number) => requestFor({ seed, max_tokens: 500 });

    async function used(): Promise<Member> {
      const member = await house.open({ userLimits });
      await ask(member, { request: sized(1) });
      return member;
    }

    test("refuses what would pass it, until the next day, and sends nothing", async () => {
      const member = await used();
      const { code, retryAfterMs } = await failureOf(ask(member, { request: sized(2) }));
      expect(code).toBe("model_busy");
      expect(retryAfterMs).toBeGreaterThan(0);
      expect(retryAfterMs).toBeLessThanOrEqual(DAY_MS);
      expect(house.fake.calls()).toHaveLength(1);
      expect(house.ledger.rows.size).toBe(1);
    });

    test("is not touched by what is kept", async () => {
      const member = await used();
      for (let times = 0; times < 20; times += 1) {
        expect((await ask(member, { request: sized(1) })).cost).toBe(0);
      }
    });

    test("is not touched by those who follow", async () => {
      const member = await house.open({ userLimits });
      house.fake.script({ latencyMs: 500 });
      const all = await Promise.all(
        Array.from({ length: 20 }, async () => await ask(member, { request: sized(1) })),
      );
      expect(all.filter(({ source }) => source === "follower")).toHaveLength(19);
    });

    test.each([
      ["fail", { kind: "status", status: 500 }],
      ["are refused", { kind: "status", status: 400 }],
    ] as const)("T20 is not touched by calls that %s (LiteLLM #27639)", async (_how, does) => {
      const member = await house.open({ userLimits });
      house.fake.script({ times: 5, does });
      for (let seed = 1; seed <= 5; seed += 1) await codeOf(ask(member, { request: sized(seed) }));
      expect((await ask(member, { request: sized(6) })).source).toBe("leader");
      expect(house.fake.calls()).toHaveLength(6);
    });

    test("is one user's: another one has all of it", async () => {
      const member = await used();
      const caller = callerWith({ user: "ben", scope: "user:ben" });
      expect((await ask(member, { request: sized(2), caller })).source).toBe("leader");
    });

    test("is what the ledger says, also for a process that knows of nothing", async () => {
      await used();
      await house.wipe();
      const fresh = await house.open({ userLimits });
      expect(await codeOf(ask(fresh, { request: sized(2) }))).toBe("model_busy");
      expect(house.fake.calls()).toHaveLength(1);
    });
  });

  describe("a run's limit of cost", () => {
    test("is no hindrance to what is kept, and lets nothing be sent beyond it", async () => {
      const member = await house.open();
      const request = requestFor({ max_tokens: 500 });
      await ask(member, { request });
      const poor = stepCaller({ maxCost: 1 });
      expect(await ask(member, { request, caller: poor })).toMatchObject({ source: CACHED, cost: 0 });
      expect(await codeOf(ask(member, { request: other, caller: poor }))).toBe("max_cost_reached");
      expect(house.fake.calls()).toHaveLength(1);
    });

    test("that the leader has reached is nothing to followers, one of whom asks", async () => {
      const member = await house.open();
      const find = house.ledger.findAnswer.bind(house.ledger);
      const asked = Promise.withResolvers<void>();
      const joined = Promise.withResolvers<void>();
      let looks = 0;
      house.ledger.findAnswer = async (...args) => {
        looks += 1;
        // The second look is the leader's.
        if (looks === 2) asked.resolve();
        if (looks === 2) await joined.promise;
        return await find(...args);
      };
      const request = requestFor({ max_tokens: 500, stream: true });
      const poor = codeOf(ask(member, { request, caller: stepCaller({ maxCost: 1 }) }));
      await asked.promise;
      const follower = new Seen(stream(member, { request }));
      // Leader twice, follower once: he has looked at what is kept, and joined.
      await waitFor(() => missesOf(member) === 3);
      joined.resolve();
      expect(await poor).toBe("max_cost_reached");
      await follower.done;
      expect(follower.completed).toMatchObject({ source: "leader" });
      expect(house.fake.calls()).toHaveLength(1);
    });
  });

  test("a provider's cache of prompts counts as saved by itself, apart from our own", async () => {
    const member = await house.open();
    house.fake.script({ cachedTokens: 12 });
    const { usage, saved } = await ask(member);
    expect(usage?.cachedTokens).toBe(12);
    expect(saved.cause).toBeNull();
    const [row] = house.ledger.rows.values();
    expect(row).toMatchObject({ cachedTokens: 12, promptCacheSaved: 12 * (250 - 25), tierSaved: 0 });
  });
});

describe("with Redis", () => {
  const houses = useHouses("shared");

  test("a 429 that one process got holds back all of them at once", async () => {
    const house = await houses.build();
    const [one, two] = [await house.open(), await house.open()];
    const does = { kind: "status", status: 429, headers: { "retry-after": "120" } } as const;
    house.fake.script({ times: 1, does });
    await codeOf(ask(one));
    const error = await waitFor(async () => {
      const failure = await failureOf(ask(two, { request: requestFor({ seed: 1 }) }));
      return failure.code === "model_busy" && failure;
    });
    expect(error.retryAfterMs).toBeGreaterThan(110_000);
    expect(house.fake.calls()).toHaveLength(1);
  });
});
