import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { PATIENT_MS, startRedis, type TestRedis } from "@mythic/testing/redis";
import { waitFor } from "@mythic/testing/wait";
import { Redis } from "ioredis";
import type { Completed } from "../../src/answers/answer.ts";
import { ModelError } from "../../src/model-error.ts";
import { failureOf } from "../asking.ts";
import { ask, CACHED, codeOf, isKept, requestFor, Seen, stepCaller, stream } from "./asking.ts";
import { type House, type Member, useHouses } from "./set-up.ts";

/** Nobody waits longer for a Redis than this, in milliseconds: its time-out, what a lease takes, and a slow machine. */
const PATIENCE_MS = 5_000;
const LEASE_MS = 1_500;

describe("Redis", () => {
  let server: TestRedis;
  let heal: () => Promise<void>;
  // Before the houses go, whose connections end with an answer.
  afterEach(() => heal());
  const houses = useHouses(() => server.url);
  let house: House;
  beforeEach(async () => {
    server = await startRedis({ args: ["--maxmemory-policy", "noeviction"] });
    heal = async () => {};
    house = await houses.build();
  });
  afterEach(() => server[Symbol.asyncDispose]());

  async function command(...words: readonly [string, ...string[]]): Promise<void> {
    const client = new Redis(server.url);
    const [name, ...args] = words;
    try {
      await client.call(name, ...args);
    } finally {
      client.disconnect();
    }
  }

  async function freeze(): Promise<void> {
    await server.pause();
    heal = () => server.resume();
  }
  const fill = async () => await command("CONFIG", "SET", "maxmemory", "1");
  const empty = async () => await command("CONFIG", "SET", "maxmemory", "0");

  /** `commandTimeoutMs`: where it matters that Redis is used until it is hurt. */
  async function openThree(commandTimeoutMs = 200): Promise<readonly [Member, Member, Member]> {
    const open = async () => await house.open({ leaseMs: LEASE_MS, commandTimeoutMs });
    return [await open(), await open(), await open()];
  }

  /** Three processes in mid-stream: the first leads, the last has two callers. */
  async function midStream(commandTimeoutMs = 1_000): Promise<readonly [Seen, ...Seen[]]> {
    const [one, two, three] = await openThree(commandTimeoutMs);
    house.fake.script({ times: 1, chunkMs: 250 });
    const leader = new Seen(stream(one));
    await waitFor(() => leader.text.length > 0);
    const followers = [two, three, three].map((member) => new Seen(stream(member)));
    await waitFor(() => followers.every(({ text }) => text.length > 0));
    expect(house.fake.calls()).toHaveLength(1);
    return [leader, ...followers];
  }

  describe.each([
    ["freezes", freeze],
    ["dies", () => server.stop()],
    ["is full", fill],
  ])("that %s", (_how, hurt) => {
    test("in mid-stream costs each other process one call at most, and everybody gets the whole answer", async () => {
      const all = await midStream();
      await hurt();
      await Promise.all(all.map(({ done }) => done));
      const [leader] = all;
      expect(leader.completed).toMatchObject({ source: "leader", text: leader.text });
      for (const { completed, text, error } of all) {
        expect(error).toBeNull();
        expect(completed?.text).toBe(leader.text);
        expect(["", leader.text]).toContain(text.split("|").at(-1));
      }
      expect(house.fake.calls().length).toBeLessThanOrEqual(3);
      expect([...house.ledger.rows.values()].map(({ state }) => state)).toEqual(
        house.fake.calls().map(() => "answered"),
      );
    });

    test("leaves callers of one process sharing one call, soon", async () => {
      const [one] = await openThree();
      house.fake.script({ latencyMs: 50 });
      await hurt();
      const since = performance.now();
      const all = await Promise.all(Array.from({ length: 20 }, async () => await ask(one)));
      expect(performance.now() - since).toBeLessThan(PATIENCE_MS);
      expect(all.filter(({ source }) => source === "leader")).toHaveLength(1);
      expect(house.fake.calls()).toHaveLength(1);
    });

    test("leaves streamed callers their tokens as they come", async () => {
      const [one] = await openThree();
      await hurt();
      house.fake.script({ chunkMs: 30 });
      const seen = new Seen(stream(one));
      await waitFor(() => seen.text.length > 0);
      expect(seen.completed).toBeNull();
      await seen.done;
      expect(seen.completed).toMatchObject({ source: "leader", text: seen.text });
    });

    test("has no step pay for what the ledger has", async () => {
      const [one, two] = await openThree();
      const { text } = await ask(one, { caller: stepCaller() });
      await hurt();
      const found = await ask(two, { caller: stepCaller() });
      expect(found).toMatchObject({ text, cost: 0 });
      expect(house.fake.calls()).toHaveLength(1);
    });

    test("between the answer and its keeping loses nothing that a step has paid for", async () => {
      const [one, two] = await openThree();
      const settle = house.ledger.settle.bind(house.ledger);
      house.ledger.settle = async (...args) => {
        await settle(...args);
        await hurt();
      };
      const first = await ask(one, { caller: stepCaller() });
      expect(first.source).toBe("leader");
      expect(await ask(two, { caller: stepCaller() })).toMatchObject({ text: first.text, cost: 0 });
      expect(house.fake.calls()).toHaveLength(1);
    });

    test("still has failures told as they are", async () => {
      const [one] = await openThree();
      await hurt();
      house.fake.script({ times: 1, does: { kind: "status", status: 500 } });
      expect(await codeOf(ask(one))).toBe("model_unavailable");
      expect((await ask(one, { policy: { mode: "refresh" } })).source).toBe("leader");
    });
  });

  test("that is full and has room again shares answers again", async () => {
    const [one, two] = await openThree();
    await fill();
    await ask(one);
    await empty();
    const request = requestFor({ seed: 1 });
    await waitFor(async () => {
      await ask(one, { request });
      return await isKept(two, { request });
    });
    expect(await ask(two, { request })).toMatchObject({ source: CACHED });
  });

  test("that was frozen and answers again shares answers again", async () => {
    const [one, two] = await openThree();
    await server.pause();
    await ask(one);
    await server.resume();
    const request = requestFor({ seed: 1 });
    await waitFor(async () => {
      await ask(one, { request });
      return await isKept(two, { request });
    });
  });

  test("that is wiped in mid-stream costs one call more in all, and everybody gets the same", async () => {
    const all = await midStream(PATIENT_MS);
    await server.wipe();
    await Promise.all(all.map(({ done }) => done));
    for (const { completed, error } of all) {
      expect(error).toBeNull();
      expect(completed?.text).toBe(all[0].completed?.text);
    }
    expect(all.filter(({ completed }) => completed?.source === "leader").length).toBeLessThanOrEqual(1);
    expect(house.fake.calls().length).toBeLessThanOrEqual(2);
    const states = () => [...house.ledger.rows.values()].map(({ state }) => state);
    await waitFor(() => !states().includes("sent"));
    expect(states()).toContain("answered");
  });

  test("that is wiped costs no step anything that was asked before", async () => {
    const [one, two] = await openThree();
    const requests = Array.from({ length: 6 }, (_, seed) => requestFor({ seed }));
    for (const request of requests) await ask(one, { request, caller: stepCaller() });
    await server.wipe();
    for (const member of [one, two]) {
      for (const request of requests) {
        expect((await ask(member, { request, caller: stepCaller() })).source).not.toBe("leader");
      }
    }
    expect(house.fake.calls()).toHaveLength(6);
  });

  test("that is wiped while a step waits for another's answer lets it ask when that has come", async () => {
    const [one, two] = await openThree(PATIENT_MS);
    house.fake.script({ latencyMs: 1_500 });
    const first = ask(one, { caller: stepCaller() });
    await waitFor(() => house.fake.calls().length === 1);
    const busy = await failureOf(ask(two, { caller: stepCaller() }));
    expect(busy.code).toBe("answer_in_flight");
    await first;
    await server.wipe();
    await busy.sooner?.(new AbortController().signal);
    expect(await ask(two, { caller: stepCaller() })).toMatchObject({ cost: 0, text: (await first).text });
    expect(house.fake.calls()).toHaveLength(1);
  });
});

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

  const rows = () => [...house.ledger.rows.values()];

  describe("a store that goes away", () => {
    test("before a call has nothing sent", async () => {
      house.ledger.failingOpenings = 1;
      await expect(ask(member)).rejects.toThrow("The store is away.");
      expect(house.fake.calls()).toEqual([]);
      expect((await ask(member)).source).toBe("leader");
    });

    test("while it is looked into has nothing sent for a step", async () => {
      const find = house.ledger.findAnswer;
      house.ledger.findAnswer = async () => {
        throw new Error("The store is away.");
      };
      await expect(ask(member, { caller: stepCaller() })).rejects.toThrow("The store is away.");
      expect(house.fake.calls()).toEqual([]);
      house.ledger.findAnswer = find;
      expect((await ask(member, { caller: stepCaller() })).source).toBe("leader");
    });

    test("between answer and ledger for a moment loses nothing", async () => {
      house.ledger.failingSettlements = 3;
      const { source, cost } = await ask(member, { caller: stepCaller() });
      expect(source).toBe("leader");
      expect(rows()).toMatchObject([{ state: "answered", cost }]);
      expect(house.fake.calls()).toHaveLength(1);
    });

    test("between answer and ledger for good gives nobody an answer that the books know nothing of", async () => {
      house.fake.script({ latencyMs: 500 });
      house.ledger.failingSettlements = 4;
      const outcomes = await Promise.allSettled([ask(member), ask(member), ask(member)]);
      for (const outcome of outcomes) {
        expect(outcome).toMatchObject({ status: "rejected", reason: { message: "The store is away." } });
      }
      expect(rows()).toMatchObject([{ state: "sent", answer: null }]);
      expect(await isKept(member)).toBe(false);
      // It stands at the most that it can cost.
      expect(rows()[0]?.tokens).toBeGreaterThan(0);
      expect((await ask(member)).source).toBe("leader");
      expect(house.fake.calls()).toHaveLength(2);
    });

    test("between a streamed answer and the ledger ends the stream with an error instead of an end", async () => {
      house.ledger.failingSettlements = 4;
      const seen = new Seen(stream(member));
      await seen.done;
      expect(seen.completed).toBeNull();
      expect(seen.error).toMatchObject({ message: "The store is away." });
      expect(seen.text).not.toBe("");
      expect(await isKept(member)).toBe(false);
    });

    test("leaves room for others: what was put aside for the call is given back", async () => {
      const maxCost = 3_000_000;
      const request = requestFor({ max_tokens: 500 });
      house.ledger.failingSettlements = 4;
      await expect(ask(member, { request, caller: stepCaller({ maxCost }) })).rejects.toThrow();
      expect((await ask(member, { request, caller: stepCaller({ maxCost }) })).source).toBe("leader");
    });
  });

  describe("an upstream", () => {
    test("that cuts its stream is asked once, fails all who read it, and may have been paid", async () => {
      const rule = house.fake.script({ latencyMs: 500, does: { kind: "cut", after: 900 } });
      const all = [1, 2, 3].map(() => new Seen(stream(member)));
      await Promise.all(all.map(({ done }) => done));
      for (const { error, text, completed } of all) {
        expect(error).toMatchObject({ code: "model_unavailable", retryable: true });
        expect(completed).toBeNull();
        expect(text).not.toBe("");
      }
      expect(rule.used).toBe(1);
      expect(rows()).toMatchObject([{ state: "unknown", outcome: "model_unavailable" }]);
      rule.remove();
      const again = new Seen(stream(member));
      await again.done;
      expect(again.completed?.source).toBe("leader");
    });

    test.each([
      ["a streamed", 0],
      ["a plain", 40],
    ])("that trickles %s answer is given up in time, hung up on, and not remembered", async (kind, after) => {
      const hasty = await house.open({ timeoutMs: 1_000 });
      const rule = house.fake.script({
        does: { kind: "trickle", after: after === 0 ? 900 : after, everyMs: 20 },
      });
      if (kind === "a plain") expect(await codeOf(ask(hasty))).toBe("model_timeout");
      else {
        const seen = new Seen(stream(hasty));
        await seen.done;
        expect(seen.error).toMatchObject({ code: "model_timeout" });
        expect(seen.text).not.toBe("");
      }
      await waitFor(() => house.fake.calls()[0]?.outcome === "aborted");
      expect(rows()).toMatchObject([{ state: "unknown", outcome: "model_timeout" }]);
      rule.remove();
      expect((await ask(hasty)).source).toBe("leader");
    });

    test("that answers 200 with something else fails all who wait, once, and may have been paid", async () => {
      const rule = house.fake.script({
        latencyMs: 500,
        does: { kind: "garbage", body: "<html>Sign in</html>" },
      });
      const all = await Promise.all([codeOf(ask(member)), codeOf(ask(member)), codeOf(ask(member))]);
      expect(all).toEqual(["model_invalid_answer", "model_invalid_answer", "model_invalid_answer"]);
      expect(rule.used).toBe(1);
      expect(rows()).toMatchObject([{ state: "unknown" }]);
      rule.remove();
      expect((await ask(member)).source).toBe("leader");
    });
  });

  test("a step that stops and asks again at once gets to ask, at the latest when its own call was hung up on", async () => {
    house.fake.script({ times: 3, does: { kind: "hang" } });
    async function askAgain(signal: AbortSignal): Promise<Completed> {
      try {
        return await ask(member, { caller: stepCaller({}, { signal }) });
      } catch (error) {
        if (!(error instanceof ModelError && error.code === "answer_in_flight")) throw error;
        // Without Redis there is nothing that would take its time.
        expect(redis).not.toBeNull();
        await error.sooner?.(signal);
        return await askAgain(signal);
      }
    }
    for (let round = 1; round <= 3; round += 1) {
      const controller = new AbortController();
      const asking = codeOf(askAgain(controller.signal));
      await waitFor(() => house.fake.calls().length === round);
      controller.abort();
      expect(await asking).toBe("model_aborted");
    }
    expect((await askAgain(new AbortController().signal)).source).toBe("leader");
    expect(house.fake.calls()).toHaveLength(4);
  });
});

describe("with Redis", () => {
  const houses = useHouses("shared");

  test("a store that is gone for the leader's process is told to those elsewhere without its words", async () => {
    const house = await houses.build();
    const [one, two] = [await house.open(), await house.open()];
    house.fake.script({ chunkMs: 40 });
    house.ledger.settle = async () => {
      throw new Error("mongodb://user:password@host is away");
    };
    const leader = new Seen(stream(one));
    await waitFor(() => leader.text.length > 0);
    const follower = new Seen(stream(two));
    await Promise.all([leader.done, follower.done]);
    expect(leader.error).toMatchObject({ message: "mongodb://user:password@host is away" });
    expect(follower.error).toMatchObject({ code: "model_unavailable", retryable: true });
    expect(String(follower.error)).not.toContain("password");
    expect(house.fake.calls()).toHaveLength(1);
  });
});
