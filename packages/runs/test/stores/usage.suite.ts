import { describe, expect, test } from "@jest/globals";
import { dayOf, NOTHING_USED, sumUsage } from "../../src/usage.ts";
import { type Bench, type OpenFresh, storeForAll, storeForEach } from "./bench.ts";
import { startRacers } from "./racers.ts";
import { endpointOpening, opening, saved, settledCall, unique, unsent } from "./samples.ts";

const DAY_MS = 86_400_000;
const ALWAYS = { from: "0000-01-01", to: "9999-12-31" };

export function describeUsage(openFresh: OpenFresh): void {
  describe("usage", () => {
    describeSums(storeForAll(openFresh));
    describeEveryone(storeForEach(openFresh));
  });
}

function describeSums(bench: Bench): void {
  const usageOf = (user: string) => bench.store.ledger.usage(user, ALWAYS);

  test("who called nothing and saved nothing used nothing", async () => {
    const usage = await usageOf(unique("user"));
    expect(usage).toEqual([]);
    expect(sumUsage(usage)).toEqual(NOTHING_USED);
  });

  test("all that was sent is spent, on its way or unknown at its most", async () => {
    const { store, clock } = bench;
    const user = unique("user");
    await settledCall(store, user);
    await settledCall(store, user, {
      opening: endpointOpening(),
      settlement: { cachedTokens: null, cost: 90 },
    });
    await settledCall(store, user, { settlement: unsent() });
    await store.ledger.open(user, opening({ cost: 1_000, tokens: 500 }));
    const untold = { inputTokens: null, cachedTokens: null, outputTokens: null, promptCacheSaved: 0 };
    await settledCall(store, user, {
      settlement: { state: "unknown", ...untold, cost: 2_000, answer: null },
    });
    const [usage] = await usageOf(user);
    expect(usage).toMatchObject({ day: dayOf(new Date(clock.at)), model: "model" });
    expect(usage?.spent).toEqual({
      calls: 5,
      tokens: 130 + 130 + 0 + 500 + 500,
      cost: 410 + 90 + 0 + 1_000 + 2_000,
      unpriced: 0,
      inputTokens: 200,
      cachedTokens: 20,
      outputTokens: 60,
    });
  });

  test("a price that is not known is counted as unknown, never as 0", async () => {
    const { store } = bench;
    const user = unique("user");
    const unpriced = { cost: null, price: null, promptCacheSaved: null, tierSaved: null };
    await settledCall(store, user, { settlement: unpriced });
    await settledCall(store, user, { settlement: { ...unpriced, state: "failed", answer: null } });
    await settledCall(store, user);
    await store.ledger.countSaved(user, saved({ cost: 0, unpriced: 1 }));
    const usage = sumUsage(await usageOf(user));
    expect(usage.spent).toMatchObject({ calls: 3, cost: 410, unpriced: 2 });
    expect(usage.saved.promptCache).toEqual({ calls: 3, tokens: 60, cost: 40, unpriced: 2 });
    expect(usage.saved.tier).toEqual({ calls: 2, tokens: 260, cost: 0, unpriced: 2 });
    expect(usage.saved.hit).toMatchObject({ calls: 1, cost: 0, unpriced: 1 });
    expect(usage.wasted.unusable).toEqual({ calls: 1, tokens: 130, cost: 0, unpriced: 1 });
  });

  test("what was saved is told apart by cause", async () => {
    const { store } = bench;
    const user = unique("user");
    await settledCall(store, user, { settlement: { cachedTokens: 80, promptCacheSaved: 160 } });
    await settledCall(store, user, { settlement: { cachedTokens: 0, promptCacheSaved: 0 } });
    const flex = { serviceTier: "flex", tierSaved: 205, cost: 205, cachedTokens: null, promptCacheSaved: 0 };
    await settledCall(store, user, { settlement: flex });
    await store.ledger.countSaved(user, saved({ cause: "hit" }));
    await store.ledger.countSaved(user, saved({ cause: "hit", calls: 3, tokens: 390, cost: 1_230 }));
    await store.ledger.countSaved(user, saved({ cause: "coalesced", tokens: 7, cost: 11 }));
    const usage = await usageOf(user);
    expect(usage).toHaveLength(1);
    expect(usage[0]?.saved).toEqual({
      hit: { calls: 4, tokens: 520, cost: 1_640, unpriced: 0 },
      coalesced: { calls: 1, tokens: 7, cost: 11, unpriced: 0 },
      promptCache: { calls: 1, tokens: 80, cost: 160, unpriced: 0 },
      tier: { calls: 1, tokens: 130, cost: 205, unpriced: 0 },
    });
  });

  test("what was wasted is told apart by cause, and what was never paid for is no waste", async () => {
    const { store } = bench;
    const user = unique("user");
    await settledCall(store, user, { settlement: unsent() });
    await settledCall(store, user, {
      settlement: { state: "failed", outcome: "model_truncated", answer: null },
    });
    const lost = { inputTokens: null, cachedTokens: null, outputTokens: null, answer: null };
    await settledCall(store, user, { settlement: { state: "unknown", ...lost, cost: 1_000 } });
    const keyId = unique("v1.key");
    const twice = [opening({ keyId }), opening({ keyId })];
    for (const call of twice) await store.ledger.open(user, call);
    for (const { id } of twice)
      await settledCall(store, user, { opening: { id, keyId }, settlement: { cost: 55 } });
    const usage = sumUsage(await usageOf(user));
    expect(usage.wasted).toEqual({
      unusable: { calls: 1, tokens: 130, cost: 410, unpriced: 0 },
      twice: { calls: 1, tokens: 130, cost: 55, unpriced: 0 },
      unknown: { calls: 1, tokens: 500, cost: 1_000, unpriced: 0 },
    });
    expect(usage.spent).toMatchObject({ calls: 5, cost: 410 + 55 + 55 + 1_000 });
  });

  test("days are those of UTC on which calls were sent, models those that were asked", async () => {
    const { store, clock } = bench;
    const user = unique("user");
    clock.at = Date.UTC(2031, 5, 30, 23, 59, 59, 999);
    const call = opening({ modelAsked: "b" });
    await store.ledger.open(user, call);
    await settledCall(store, user, { opening: { modelAsked: "a" } });
    clock.advance(1);
    await settledCall(store, user, { opening: { modelAsked: "a" } });
    await store.ledger.countSaved(user, saved({ model: "c" }));
    // Settled on the day after it was sent.
    await settledCall(store, user, { opening: { id: call.id } });
    clock.advance(2 * DAY_MS);
    await store.ledger.countSaved(user, saved({ model: "a" }));
    const told = async (from: string, to: string) =>
      (await store.ledger.usage(user, { from, to })).map(({ day, model }) => `${day} ${model}`);
    const all = ["2031-06-30 a", "2031-06-30 b", "2031-07-01 a", "2031-07-01 c", "2031-07-03 a"];
    expect(await told("2031-06-01", "2031-07-31")).toEqual(all);
    expect(await told("2031-07-01", "2031-07-03")).toEqual(all.slice(2));
    expect(await told("2031-06-30", "2031-07-02")).toEqual(all.slice(0, 4));
    expect(await told("2031-07-02", "2031-07-02")).toEqual([]);
    expect(await told("2031-07-31", "2031-06-01")).toEqual([]);
  });

  test("budgets can be rebuilt: what a user sent on a day, calls that did not tell at their most", async () => {
    const { store, clock } = bench;
    const user = unique("user");
    clock.at = Date.UTC(2032, 0, 1, 12);
    const spentOn = () => store.ledger.spentOn(user, "2032-01-01");
    expect(await spentOn()).toEqual({ calls: 0, tokens: 0, cost: 0, unpriced: 0 });
    await settledCall(store, user);
    await settledCall(store, user, { opening: endpointOpening(), settlement: { cost: null } });
    await store.ledger.open(user, opening({ tokens: 5_000, cost: 20_000 }));
    await settledCall(store, unique("user"));
    await store.ledger.countSaved(user, saved());
    clock.advance(DAY_MS);
    await settledCall(store, user);
    expect(await spentOn()).toEqual({ calls: 3, tokens: 130 + 130 + 5_000, cost: 20_410, unpriced: 1 });
  });

  test("nothing of it is seen by another user", async () => {
    const user = unique("user");
    await settledCall(bench.store, user);
    await bench.store.ledger.countSaved(user, saved());
    expect(await usageOf(unique("user"))).toEqual([]);
  });
}

function describeEveryone(bench: Bench): void {
  test("everyone's usage is the sum of all", async () => {
    const { store, clock } = bench;
    const users = [unique("user"), unique("user"), unique("user")];
    for (const user of users) {
      await settledCall(store, user);
      await store.ledger.countSaved(user, saved({ model: "other" }));
      clock.advance(DAY_MS);
      await settledCall(store, user);
    }
    const each = await Promise.all(users.map((user) => store.ledger.usage(user, ALWAYS)));
    const all = await store.ledger.usage(null, ALWAYS);
    expect(all.map(({ day, model }) => `${day} ${model}`)).toEqual([
      "2030-01-01 model",
      "2030-01-01 other",
      "2030-01-02 model",
      "2030-01-02 other",
      "2030-01-03 model",
      "2030-01-03 other",
      "2030-01-04 model",
    ]);
    expect(sumUsage(all)).toEqual(sumUsage(each.flat()));
    expect(sumUsage(all).spent.calls).toBe(6);
    expect(sumUsage(all).saved.hit.calls).toBe(3);
  });

  test("four processes that pay for the same at the same time: each call and saving is counted, all but one are needless", async () => {
    const { store, spawnArgs } = bench;
    using started = startRacers<{ readonly secret?: string }>(
      new URL("./ledger-racer.ts", import.meta.url),
      spawnArgs,
      4,
    );
    const { racers } = started;
    await Promise.all(racers.map((racer) => racer.next()));
    const ended = racers.map((racer) => racer.next());
    for (const racer of racers) racer.send("go");
    const secrets = (await Promise.all(ended)).map(({ secret }) => secret);
    const usage = sumUsage(await store.ledger.usage("racers", ALWAYS));
    expect(usage.spent.calls).toBe(200);
    expect(usage.wasted.twice.calls).toBe(150);
    expect(usage.saved.hit).toEqual({ calls: 200, tokens: 26_000, cost: 82_000, unpriced: 0 });
    expect(new Set(secrets)).toEqual(new Set([await store.secrets.obtain("of the racers")]));
  }, 60_000);
}
