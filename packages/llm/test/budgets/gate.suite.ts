import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { waitFor } from "@mythic/testing/wait";
import { admitted, callWith, enterMany, failure, GateHouse, refused, well } from "./set-up.ts";

/** For limits of a period so long that nothing of them comes back while a test lasts. */
const HOUR = { periodMs: 3_600_000 };

/** What a gate does, wherever it keeps its numbers. */
export function describeGate(where: string, findUrl: () => Promise<string | null>): void {
  let house: GateHouse;
  beforeEach(async () => {
    house = new GateHouse(await findUrl());
  });
  afterEach(() => house[Symbol.asyncDispose]());

  const manyTokens = { tokens: 1, cost: 1 };

  describe(`a gate ${where}: cool-downs`, () => {
    test("a 429 closes it for as long as the endpoint says, for this model alone", async () => {
      const gate = await house.open();
      const admission = await admitted(gate.enter(callWith()));
      admission.report(failure(429, 7_200_000));
      await admission.release();
      expect(admission.coolingMs()).toBeGreaterThan(7_190_000);
      const answer = await refused(gate.enter(callWith()));
      expect(answer).toMatchObject({ reason: "cooling_down", final: false });
      expect(answer.retryAfterMs).toBeGreaterThan(7_190_000);
      await admitted(gate.enter(callWith({ model: "gpt-5" })));
      await admitted(gate.enter(callWith({ upstream: { ...callWith().upstream, name: "other" } })));
    });

    test("so does a 503 that says how long, and none that does not", async () => {
      const gate = await house.open();
      const first = await admitted(gate.enter(callWith()));
      first.report(failure(503));
      await first.release();
      const second = await admitted(gate.enter(callWith()));
      second.report(failure(503, 60_000));
      await second.release();
      expect((await refused(gate.enter(callWith()))).reason).toBe("cooling_down");
    });

    test("without a word it lasts a second or so, and the 429 of calls that left before count once", async () => {
      let now = 0;
      // Stands still while nobody looks at it.
      const gate = await house.open({ clock: () => (now += 0.001) });
      const admissions = await enterMany(gate, callWith(), 4);
      for (const admission of admissions) {
        admission.report(failure(429));
        await admission.release();
      }
      const { retryAfterMs } = await refused(gate.enter(callWith()));
      expect(retryAfterMs).toBeGreaterThan(500);
      expect(retryAfterMs).toBeLessThan(2_500);
    });

    test("it ends by itself", async () => {
      const gate = await house.open();
      const admission = await admitted(gate.enter(callWith()));
      admission.report(failure(429, 50));
      await admission.release();
      await waitFor(async () => (await gate.enter(callWith())).kind === "open");
    });
  });

  describe(`a gate ${where}: appetite`, () => {
    test("begins with eight calls at once", async () => {
      const gate = await house.open();
      expect(await enterMany(gate, callWith())).toHaveLength(8);
    });

    test("has no room for many, and none of them sleeps through the next round", async () => {
      const gate = await house.open();
      await enterMany(gate, callWith());
      const entering = Array.from({ length: 40 }, () => refused(gate.enter(callWith())));
      const waits = (await Promise.all(entering)).map(({ retryAfterMs }) => retryAfterMs);
      const ROUND_MS = 1_000;
      expect(Math.max(...waits)).toBeGreaterThan(ROUND_MS / 2);
      expect(Math.max(...waits)).toBeLessThan(1.5 * ROUND_MS);
    });

    test("doubles in a round of good answers, and passes no ceiling", async () => {
      const gate = await house.open({ ceiling: 12 });
      for (const admission of await enterMany(gate, callWith())) {
        admission.report(well());
        await admission.settle(manyTokens);
      }
      expect(await enterMany(gate, callWith())).toHaveLength(12);
    });

    test("does not grow from calls that came nowhere near it", async () => {
      const gate = await house.open();
      for (let call = 0; call < 20; call += 1) {
        const admission = await admitted(gate.enter(callWith()));
        admission.report(well());
        await admission.settle(manyTokens);
      }
      expect(await enterMany(gate, callWith())).toHaveLength(8);
    });

    test("is halved by an overload, once for all calls that left before it, and grows by one a round from there on", async () => {
      const gate = await house.open();
      for (const admission of await enterMany(gate, callWith())) {
        admission.report(failure(503));
        await admission.release();
      }
      const round = await enterMany(gate, callWith());
      expect(round).toHaveLength(4);
      for (const admission of round) {
        admission.report(well());
        await admission.settle(manyTokens);
      }
      // 4, 4.25, 4.49, 4.71 and so on: one more after a round and a bit.
      const next = await enterMany(gate, callWith());
      expect(next).toHaveLength(4);
      for (const admission of next.slice(0, 2)) {
        admission.report(well());
        await admission.settle(manyTokens);
      }
      expect(await enterMany(gate, callWith())).toHaveLength(3);
    });

    test("never falls below one", async () => {
      const gate = await house.open();
      for (let round = 0; round < 8; round += 1) {
        const admission = await admitted(gate.enter(callWith()));
        admission.report(failure(503));
        await admission.release();
      }
      expect(await enterMany(gate, callWith())).toHaveLength(1);
    });

    test("sends no more than the endpoint says is left", async () => {
      const gate = await house.open();
      const admission = await admitted(gate.enter(callWith()));
      const requests = { limit: 100, remaining: 3, resetMs: 3_600_000 };
      admission.report(well(1_000, { requests, tokens: null }));
      await admission.settle(manyTokens);
      expect(await enterMany(gate, callWith())).toHaveLength(3);
    });

    test("a call that failed for reasons of its own changes nothing", async () => {
      const gate = await house.open();
      const admission = await admitted(gate.enter(callWith()));
      admission.report(failure(400));
      await admission.release();
      expect(await enterMany(gate, callWith())).toHaveLength(8);
    });
  });

  describe(`a gate ${where}: limits per minute`, () => {
    test("lets a tenth of the requests in at once and says when the next may come", async () => {
      const gate = await house.open(HOUR);
      const call = callWith({ rpm: 60 });
      expect(await enterMany(gate, call)).toHaveLength(6);
      const { reason, retryAfterMs } = await refused(gate.enter(call));
      expect(reason).toBe("rpm");
      expect(retryAfterMs).toBeGreaterThan(250);
    });

    test("tells each who is refused another time", async () => {
      const gate = await house.open(HOUR);
      const call = callWith({ rpm: 60 });
      await enterMany(gate, call);
      const first = await refused(gate.enter(call));
      const second = await refused(gate.enter(call));
      expect(second.retryAfterMs - first.retryAfterMs).toBeGreaterThan(30_000);
    });

    test("lets a call in that is larger than the burst when nothing else is under way", async () => {
      const gate = await house.open(HOUR);
      await admitted(gate.enter(callWith({ tpm: 2_000 })));
      expect(await refused(gate.enter(callWith({ tpm: 2_000 })))).toMatchObject({
        reason: "tpm",
        final: false,
      });
    });

    test("counts what a call came to, not what it might have, once it is settled", async () => {
      const gate = await house.open(HOUR);
      const call = callWith({ tpm: 20_000 });
      const [first, ...others] = await enterMany(gate, call);
      expect(others).toHaveLength(1);
      await first?.settle({ tokens: 1, cost: 0 });
      // One token drains in 180 ms, 1,000 in three minutes.
      await waitFor(async () => (await gate.enter(call)).kind === "open");
    });

    test("gives back what was never sent", async () => {
      const gate = await house.open(HOUR);
      const call = callWith({ rpm: 60, tpm: 20_000 });
      for (const admission of await enterMany(gate, call)) await admission.release();
      expect(await enterMany(gate, call)).toHaveLength(2);
    });

    test("expects of an estimate what estimates came to before", async () => {
      const gate = await house.open();
      const call = callWith({ tpm: 20_000 });
      const admission = await admitted(gate.enter(call));
      admission.report(well(100));
      await admission.settle({ tokens: 100, cost: 0 });
      expect((await enterMany(gate, call)).length).toBeGreaterThan(5);
    });
  });

  describe(`a gate ${where}: money`, () => {
    const day = { tokensPerDay: null, costPerDay: 250 };

    test("keeps a user within the money of a day, the most of calls on their way included", async () => {
      const gate = await house.open();
      const call = callWith({ userLimits: day });
      const admissions = await enterMany(gate, call);
      expect(admissions).toHaveLength(2);
      expect(await refused(gate.enter(call))).toMatchObject({ reason: "user_money", final: false });
      await admitted(gate.enter(callWith({ userLimits: day, user: "bob" })));
    });

    test("gives back what a call did not cost", async () => {
      const gate = await house.open();
      const call = callWith({ userLimits: day });
      for (const admission of await enterMany(gate, call)) {
        house.sums.add("ada", { cost: 10 });
        await admission.settle({ tokens: 1, cost: 10 });
      }
      expect(await enterMany(gate, call)).toHaveLength(2);
    });

    test("keeps a user within the tokens of a day, and says until when", async () => {
      house.sums.add("ada", { cost: 0, tokens: 9_500 });
      const gate = await house.open({ now: () => new Date("2026-11-20T22:00:00Z") });
      const userLimits = { tokensPerDay: 10_000, costPerDay: null };
      const answer = await refused(gate.enter(callWith({ userLimits })));
      expect(answer).toEqual({
        kind: "closed",
        reason: "user_tokens",
        retryAfterMs: 7_200_000,
        final: false,
      });
    });

    test("says so for good when a call costs more than there ever will be", async () => {
      const gate = await house.open();
      const userLimits = { tokensPerDay: 999, costPerDay: null };
      expect(await refused(gate.enter(callWith({ userLimits })))).toMatchObject({ final: true });
      const unpriced = callWith({ maxCost: 1e12, estimate: { tokens: 1, cost: null } });
      expect(await refused(gate.enter(unpriced))).toMatchObject({ reason: "max_cost", final: true });
    });

    test("a run waits for its calls on their way before it has spent all that it may", async () => {
      const gate = await house.open();
      const call = callWith({ maxCost: 150 });
      const admission = await admitted(gate.enter(call));
      expect(await refused(gate.enter(call))).toMatchObject({ reason: "max_cost", final: false });
      house.sums.add("run1", { cost: 30 });
      await admission.settle({ tokens: 1, cost: 30 });
      const second = await admitted(gate.enter(call));
      house.sums.add("run1", { cost: 60 });
      await second.settle({ tokens: 1, cost: 60 });
      await waitFor(async () => {
        const answer = await refused(gate.enter(call));
        return answer.reason === "max_cost" && answer.final;
      });
    });

    test("a run with a price in it that nobody knows is over", async () => {
      house.sums.cost.set("run1", null);
      const gate = await house.open();
      expect(await refused(gate.enter(callWith({ maxCost: 1e12 })))).toMatchObject({
        ...{ reason: "max_cost", final: true },
      });
    });

    test("believes the ledger, not itself, before it says no", async () => {
      const gate = await house.open();
      const call = callWith({ maxCost: 150 });
      const admission = await admitted(gate.enter(call));
      // The ledger says that it cost nothing after all.
      await admission.settle({ tokens: 1, cost: 100 });
      await waitFor(async () => (await gate.enter(call)).kind === "open");
    });

    test("does not go by without the ledger", async () => {
      const away = () => Promise.reject(new Error("The store is away."));
      const gate = await house.open({ ledger: { spent: away, spentOn: away } });
      await expect(gate.enter(callWith({ maxCost: 150 }))).rejects.toThrow("away");
      await admitted(gate.enter(callWith()));
    });
  });

  describe(`a gate ${where}: what is held`, () => {
    test("is held once and given back once, however often that is said", async () => {
      const gate = await house.open();
      const admissions = await enterMany(gate, callWith());
      for (let time = 0; time < 3; time += 1) {
        admissions[0]?.report(well());
        await admissions[0]?.settle(manyTokens);
        await admissions[0]?.release();
      }
      expect(await enterMany(gate, callWith())).toHaveLength(2);
    });

    test("is nothing for a call that was stopped while it waited", async () => {
      const gate = await house.open();
      const stop = new AbortController();
      stop.abort(new Error("enough"));
      await expect(gate.enter(callWith({ signal: stop.signal }))).rejects.toThrow("enough");
      expect(await enterMany(gate, callWith())).toHaveLength(8);
    });

    test("is waited for a quarter of a second at most", async () => {
      const gate = await house.open();
      await enterMany(gate, callWith({ rpm: 600 }));
      const start = performance.now();
      for (let call = 0; call < 20; call += 1) await gate.enter(callWith({ rpm: 60 }));
      // Their turns are a second apart: to wait for them would take minutes.
      expect(performance.now() - start).toBeLessThan(20 * 1_000);
    });
  });
}
