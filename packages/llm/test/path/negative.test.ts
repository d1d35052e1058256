import { beforeEach, describe, expect, test } from "@jest/globals";
import { failureOf } from "../asking.ts";
import {
  ask,
  BYPASS,
  CACHED,
  codeOf,
  isKept,
  ONLY_IF_CACHED,
  REFRESH,
  requestFor,
  stepCaller,
} from "./asking.ts";
import { type House, type Member, useHouses } from "./set-up.ts";

const MINUTE_MS = 60_000;

describe.each([
  ["with Redis", "shared"],
  ["without Redis", null],
] as const)("%s", (_name, redis) => {
  const houses = useHouses(redis);
  let house: House;
  let member: Member;
  beforeEach(async () => {
    house = await houses.build();
    member = await house.open();
  });

  const tooLong = { kind: "status", status: 400, code: "context_length_exceeded" } as const;

  describe.each([
    ["a text that is too long", tooLong, "model_context_exceeded"],
    ["a request that is not valid", { kind: "status", status: 400 }, "model_rejected_request"],
    ["a request for what is not there", { kind: "status", status: 404 }, "model_rejected_request"],
    ["a request that cannot be processed", { kind: "status", status: 422 }, "model_rejected_request"],
  ] as const)("%s", (_what, does, code) => {
    test("is refused without being sent for a minute, and then asked again", async () => {
      const rule = house.fake.script({ does });
      const first = await failureOf(ask(member));
      house.pass(MINUTE_MS - 1);
      const again = await failureOf(ask(member));
      expect(again).toMatchObject({ code, message: first.message, retryable: false });
      expect(rule.used).toBe(1);
      expect(house.ledger.rows.size).toBe(1);
      house.pass(1);
      rule.remove();
      expect((await ask(member)).source).toBe("leader");
    });
  });

  test("a step asks all the same: it comes again only when a person has changed something", async () => {
    const rule = house.fake.script({ does: tooLong });
    await codeOf(ask(member, { caller: stepCaller() }));
    rule.remove();
    expect((await ask(member, { caller: stepCaller() })).source).toBe("leader");
  });

  test("what is remembered is of the one request of the one user", async () => {
    house.fake.script({ times: 1, does: tooLong });
    await codeOf(ask(member));
    expect((await ask(member, { request: requestFor({ max_tokens: 400 }) })).source).toBe("leader");
    const caller = stepCaller({}, { user: "ben", scope: "user:ben" });
    expect((await ask(member, { caller })).source).toBe("leader");
  });

  test("it is forgotten sooner where the call wants answers kept for less, and not noted where for none", async () => {
    house.fake.script({ times: 2, does: tooLong });
    const policy = { mode: "reuse", ttlMs: 10_000 } as const;
    await codeOf(ask(member, { policy }));
    house.pass(9_999);
    expect(await codeOf(ask(member, { policy }))).toBe("model_context_exceeded");
    expect(house.fake.calls()).toHaveLength(1);
    house.pass(1);
    await codeOf(ask(member, { policy: { mode: "reuse", ttlMs: 0 } }));
    expect((await ask(member)).source).toBe("leader");
  });

  test("who asks past the cache, or anew, asks all the same", async () => {
    const rule = house.fake.script({ does: tooLong });
    await codeOf(ask(member));
    await codeOf(ask(member, { policy: BYPASS }));
    await codeOf(ask(member, { policy: REFRESH }));
    expect(rule.used).toBe(3);
    rule.remove();
    house.pass(1);
    expect((await ask(member, { policy: REFRESH })).source).toBe("leader");
    expect((await ask(member)).source).toEqual(CACHED);
  });

  test("who wants only what is cached is told of it", async () => {
    house.fake.script({ does: tooLong });
    await codeOf(ask(member));
    expect(await codeOf(ask(member, { policy: ONLY_IF_CACHED }))).toBe("model_context_exceeded");
  });

  test("it does not hide an answer that is there, nor make it last longer", async () => {
    const { text } = await ask(member, { policy: { mode: "reuse", ttlMs: 30_000 } });
    house.pass(1);
    house.fake.script({ times: 1, does: tooLong });
    await codeOf(ask(member, { policy: REFRESH }));
    expect(await ask(member)).toMatchObject({ source: CACHED, text });
    house.pass(30_000);
    expect(await codeOf(ask(member))).toBe("model_context_exceeded");
    expect(await isKept(member, { request: requestFor({ seed: 1 }) })).toBe(false);
    expect(house.fake.calls()).toHaveLength(2);
  });

  test("fifty who ask at once, and fifty who come after, cost one call", async () => {
    const rule = house.fake.script({ latencyMs: 50, does: tooLong });
    const fifty = async () => await Promise.all(Array.from({ length: 50 }, () => codeOf(ask(member))));
    for (const code of [...(await fifty()), ...(await fifty())]) expect(code).toBe("model_context_exceeded");
    expect(rule.used).toBe(1);
  });
});

test("with Redis what one process was refused is refused by all without being sent", async () => {
  const { house, one, two } = await pair();
  const rule = house.fake.script({ does: { kind: "status", status: 400, message: "No: my own words." } });
  const first = await failureOf(ask(one));
  const second = await failureOf(ask(two));
  expect(second).toMatchObject({ code: "model_rejected_request", message: first.message });
  expect(second.message).not.toContain("my own words");
  expect(rule.used).toBe(1);
});

const houses = useHouses("shared");

async function pair() {
  const house = await houses.build();
  return { house, one: await house.open(), two: await house.open() };
}
