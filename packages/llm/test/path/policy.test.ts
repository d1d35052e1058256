import { beforeEach, describe, expect, test } from "@jest/globals";
import { ModelError } from "../../src/model-error.ts";
import {
  ask,
  BYPASS,
  CACHED,
  codeOf,
  isKept,
  ONLY_IF_CACHED,
  REFRESH,
  REUSE,
  requestFor,
  Seen,
  stepCaller,
  stream,
} from "./asking.ts";
import { HOUR_MS, type House, type Member, useHouses } from "./set-up.ts";

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

  /** Has each call answered by its number, the first by 1. */
  function number(): void {
    let calls = 0;
    house.fake.script({
      does: {
        kind: "answer",
        content() {
          calls += 1;
          return String(calls);
        },
      },
    });
  }

  describe("a call that refreshes", () => {
    test("asks although an answer is there, and its answer takes the place of that one", async () => {
      number();
      await ask(member);
      house.pass(1);
      expect(await ask(member, { policy: REFRESH })).toMatchObject({ source: "leader", text: "2" });
      expect(await ask(member)).toMatchObject({ source: CACHED, text: "2" });
    });

    test("leaves what is there in its place when it fails", async () => {
      house.fake.script({ times: 1, does: { kind: "answer", content: "1" } });
      house.fake.script({ does: { kind: "status", status: 500 } });
      await ask(member);
      house.pass(1);
      expect(await codeOf(ask(member, { policy: REFRESH }))).toBe("model_unavailable");
      expect(await ask(member)).toMatchObject({ source: CACHED, text: "1" });
    });

    test("by a step asks although the ledger has an answer, and later steps get the new one", async () => {
      number();
      const alone = await house.open({ keeps: false });
      await ask(alone, { caller: stepCaller() });
      house.pass(1);
      const fresh = await ask(alone, { caller: stepCaller(), policy: REFRESH });
      expect(fresh).toMatchObject({ source: "leader", text: "2" });
      house.pass(1);
      expect(await ask(alone, { caller: stepCaller() })).toMatchObject({ source: "ledger", text: "2" });
    });

    test("is one call for all who want it fresh at the time", async () => {
      number();
      await ask(member);
      house.pass(1);
      const all = await Promise.all([1, 2, 3].map(() => ask(member, { policy: REFRESH })));
      expect(all.map(({ text }) => text)).toEqual(["2", "2", "2"]);
      expect(all.map(({ source }) => source).sort()).toEqual(["follower", "follower", "leader"]);
    });

    test("streams what it asks for", async () => {
      await ask(member);
      house.pass(1);
      const seen = new Seen(stream(member, { policy: REFRESH }));
      await seen.done;
      expect(seen.completed?.source).toBe("leader");
      expect(seen.text).toBe(seen.completed?.text);
      expect(seen.text).not.toBe("");
    });
  });

  describe("a call that bypasses", () => {
    test("neither takes what is there nor keeps what comes", async () => {
      number();
      await ask(member);
      expect(await ask(member, { policy: BYPASS })).toMatchObject({ source: "leader", text: "2" });
      expect(await ask(member)).toMatchObject({ source: CACHED, text: "1" });
      const request = requestFor({ seed: 1 });
      await ask(member, { request, policy: BYPASS });
      expect(await isKept(member, { request })).toBe(false);
    });

    test("shares no flight, and is in the ledger as what it cost", async () => {
      house.fake.script({ latencyMs: 50 });
      const all = await Promise.all([ask(member, { policy: BYPASS }), ask(member, { policy: BYPASS })]);
      expect(all.map(({ source }) => source)).toEqual(["leader", "leader"]);
      expect(house.fake.calls()).toHaveLength(2);
      expect([...house.ledger.rows.values()].map(({ state }) => state)).toEqual(["answered", "answered"]);
    });

    test("of a step leaves nothing in the ledger for other steps", async () => {
      const alone = await house.open({ keeps: false });
      await ask(alone, { caller: stepCaller(), policy: BYPASS });
      expect((await ask(alone, { caller: stepCaller() })).source).toBe("leader");
    });

    test("streams its tokens, and is stopped when its caller leaves", async () => {
      house.fake.script({ chunkMs: 20 });
      const events = stream(member, { policy: BYPASS });
      for await (const event of events) if (event.type === "chunk") break;
      const [call] = house.fake.calls();
      const seen = new Seen(stream(member, { request: requestFor({ seed: 2 }), policy: BYPASS }));
      await seen.done;
      expect(seen.text).toBe(seen.completed?.text);
      expect(call?.outcome).toBe("aborted");
    });
  });

  describe("a call that wants it only if it is cached", () => {
    test("gets what is there, and is never sent", async () => {
      expect(await codeOf(ask(member, { policy: ONLY_IF_CACHED }))).toBe("answer_not_cached");
      const seen = new Seen(stream(member, { policy: ONLY_IF_CACHED }));
      await seen.done;
      expect(seen.error).toMatchObject({ code: "answer_not_cached", retryable: false });
      expect(house.fake.calls()).toEqual([]);
      const { text } = await ask(member);
      expect(await ask(member, { policy: ONLY_IF_CACHED })).toMatchObject({ source: CACHED, text });
      expect(house.ledger.rows.size).toBe(1);
    });

    test("by a step gets what the ledger has, too", async () => {
      const alone = await house.open({ keeps: false });
      await ask(alone, { caller: stepCaller() });
      const found = await ask(alone, { caller: stepCaller(), policy: ONLY_IF_CACHED });
      expect(found.source).toBe("ledger");
    });

    test("does not wait for a call that is on its way", async () => {
      house.fake.script({ latencyMs: 200 });
      const asking = ask(member);
      expect(await codeOf(ask(member, { policy: ONLY_IF_CACHED }))).toBe("answer_not_cached");
      await asking;
    });
  });

  describe("an answer is kept", () => {
    test("as long as the operator said, and no longer", async () => {
      await ask(member);
      house.pass(HOUR_MS - 1);
      expect(await isKept(member)).toBe(true);
      house.pass(1);
      expect(await isKept(member)).toBe(false);
    });

    test("T23 as long as its call said, and no longer (LiteLLM #1218, #2317)", async () => {
      await ask(member, { policy: { mode: "reuse", ttlMs: 5 * MINUTE_MS } });
      house.pass(5 * MINUTE_MS - 1);
      expect(await isKept(member)).toBe(true);
      house.pass(1);
      expect(await isKept(member)).toBe(false);
    });

    test("not at all when its call said so, while what was there before stays", async () => {
      await ask(member, { policy: { mode: "reuse", ttlMs: 0 } });
      expect(await isKept(member)).toBe(false);
      const { text } = await ask(member);
      house.pass(1);
      await ask(member, { policy: { mode: "refresh", ttlMs: 0 } });
      expect(await ask(member)).toMatchObject({ source: CACHED, text });
    });

    test("in the ledger for as long as steps may reuse it, whatever its call said of the cache", async () => {
      const reuseMs = 2 * HOUR_MS;
      await ask(member, { caller: stepCaller(), policy: { mode: "reuse", ttlMs: 0 } });
      house.pass(reuseMs);
      expect((await ask(member, { caller: stepCaller({ reuseMs }) })).source).toBe("ledger");
      house.pass(1);
      expect((await ask(member, { caller: stepCaller({ reuseMs }) })).source).toBe("leader");
    });

    test("for another caller only if that one takes it as old as it is", async () => {
      number();
      await ask(member);
      house.pass(MINUTE_MS);
      expect((await ask(member, { policy: { mode: "reuse", maxAgeMs: MINUTE_MS } })).source).toEqual(CACHED);
      const young = { mode: "reuse", maxAgeMs: MINUTE_MS - 1 } as const;
      expect(await codeOf(ask(member, { policy: { ...young, mode: "only-if-cached" } }))).toBe(
        "answer_not_cached",
      );
      expect(await ask(member, { policy: young })).toMatchObject({ source: "leader", text: "2" });
      expect(await ask(member)).toMatchObject({ source: CACHED, text: "2" });
    });

    test("for a step that wants none from before a time only if it is not", async () => {
      number();
      const alone = await house.open({ keeps: false });
      const askedOf = (one: Member) => ({
        caller: stepCaller(),
        request: requestFor({ seed: one === alone ? 1 : 0 }),
      });
      for (const one of [member, alone]) await ask(one, askedOf(one));
      house.pass(1);
      const since = house.now();
      for (const one of [member, alone]) {
        const asked = askedOf(one);
        const fresh = await ask(one, { ...asked, policy: { mode: "reuse", since } });
        expect(fresh.source).toBe("leader");
        house.pass(1);
        const again = await ask(one, { ...asked, policy: { mode: "reuse", since } });
        expect(again.source).toEqual(one === alone ? "ledger" : CACHED);
      }
    });
  });

  test("a leader who was content with an old answer does not give it to a follower who is not", async () => {
    number();
    await ask(member);
    house.pass(MINUTE_MS);
    const [any, young] = await Promise.all([
      ask(member),
      ask(member, { policy: { mode: "reuse", maxAgeMs: 1 } }),
    ]);
    expect([any.text, young.text]).toEqual(["1", "2"]);
  });

  describe("variants", () => {
    const policy = { mode: "reuse", variants: 3 } as const;
    const request = requestFor({ temperature: 1 });

    test("are asked for until there are as many, and then drawn from", async () => {
      number();
      for (const text of ["1", "2", "3"]) {
        expect(await ask(member, { request, policy })).toMatchObject({ source: "leader", text });
      }
      const drawn = new Set<string>();
      for (let draw = 0; draw < 60; draw += 1) drawn.add((await ask(member, { request, policy })).text);
      expect([...drawn].sort()).toEqual(["1", "2", "3"]);
      expect(house.fake.calls()).toHaveLength(3);
    });

    test("are fewer once one has expired, which is replaced", async () => {
      number();
      for (const minutes of [20, 20, 20]) {
        await ask(member, { request, policy });
        house.pass(minutes * MINUTE_MS);
      }
      expect(await ask(member, { request, policy })).toMatchObject({ source: "leader", text: "4" });
      const drawn = new Set<string>();
      for (let draw = 0; draw < 60; draw += 1) drawn.add((await ask(member, { request, policy })).text);
      expect([...drawn].sort()).toEqual(["2", "3", "4"]);
    });

    test("do not matter to who wants one answer, which is the latest", async () => {
      number();
      await ask(member, { request, policy });
      await ask(member, { request, policy });
      expect(await ask(member, { request })).toMatchObject({ source: CACHED, text: "2" });
    });
  });

  test("T42 an answer that was kept and is of no use any more is asked for anew, and replaced", async () => {
    number();
    await ask(member);
    const read = ({ text }: { readonly text: string }) =>
      text === "1" ? new ModelError("model_invalid_answer", "No.") : text;
    expect(await ask(member, { read })).toMatchObject({ source: "leader", text: "2" });
    expect(await ask(member, { read })).toMatchObject({ source: CACHED, text: "2" });
    expect(await ask(member)).toMatchObject({ source: CACHED, text: "2" });
  });

  test("T42 asking again after an answer of no use goes past what is kept, and overwrites (tinyagents #57)", async () => {
    number();
    const read = ({ text }: { readonly text: string }) =>
      text === "1" ? new ModelError("model_invalid_answer", "No.") : text;
    expect(await codeOf(ask(member, { caller: stepCaller(), read }))).toBe("model_invalid_answer");
    const [row] = house.ledger.rows.values();
    expect(row).toMatchObject({ state: "failed", outcome: "model_invalid_answer", answer: null });
    expect(await ask(member, { caller: stepCaller(), read })).toMatchObject({ source: "leader", text: "2" });
    expect(await ask(member, { caller: stepCaller(), read })).toMatchObject({ source: CACHED, text: "2" });
  });

  describe("a caller who says no to an answer", () => {
    const policy = {
      mode: "reuse",
      storeWhen: ({ text }: { readonly text: string }) => text !== "1",
    } as const;

    test("gets it all the same, and nobody else does", async () => {
      number();
      expect(await ask(member, { policy })).toMatchObject({ source: "leader", text: "1" });
      expect(await ask(member, { policy: REUSE })).toMatchObject({ source: "leader", text: "2" });
    });

    test("has it kept out of the ledger, too", async () => {
      number();
      const alone = await house.open({ keeps: false });
      await ask(alone, { policy, caller: stepCaller() });
      expect(await ask(alone, { caller: stepCaller() })).toMatchObject({ source: "leader", text: "2" });
    });
  });
});

describe("with Redis", () => {
  const houses = useHouses("shared");

  test("T4 everything that is written there has a time to live (LiteLLM #6010, #2700)", async () => {
    const house = await houses.build();
    const [one, two] = [await house.open(), await house.open()];
    house.fake.script({ times: 1, latencyMs: 100 });
    await Promise.all(
      [ask(one), ask(two), ask(one, { caller: stepCaller({ maxCost: 1e12 }) })].map((p) =>
        p.catch(() => null),
      ),
    );
    house.fake.script({ does: { kind: "status", status: 400 } });
    await codeOf(ask(one, { request: requestFor({ seed: 1 }) }));
    const ttls = await house.ttls();
    expect(ttls.size).toBeGreaterThan(3);
    expect([...ttls].filter(([, ms]) => ms === -1)).toEqual([]);
  });
});
