import { describe, expect, test } from "@jest/globals";
import { NO_USAGE } from "../../src/run.ts";
import { openStore } from "../../src/stores/open-store.ts";
import { type Bench, type OpenFresh, storeForAll } from "./bench.ts";
import {
  endpointOpening,
  nameOnlySealer,
  ODD_IDS,
  opening,
  settledCall,
  settlement,
  unique,
  unsent,
} from "./samples.ts";

/** What no call has before it is settled. */
const NOTHING_YET = {
  state: "sent",
  modelAnswered: null,
  inputTokens: null,
  cachedTokens: null,
  outputTokens: null,
  promptCacheSaved: 0,
  tierSaved: 0,
  paidTwice: false,
  latencyMs: null,
  outcome: null,
  answer: null,
  message: null,
  settledAt: null,
  erasedAt: null,
};

export function describeLedger(openFresh: OpenFresh): void {
  describe("the ledger", () => {
    const bench = storeForAll(openFresh);
    describeCalls(bench);
    describeFoundAnswers(bench);
    describeSpending(bench);
    describeCallsPaidTwice(bench);
  });
  describe("the ledger with a sealer", () => {
    describeSealedTexts(storeForAll((options) => openFresh({ ...options, sealer: nameOnlySealer("new") })));
  });
}

function describeCalls(bench: Bench): void {
  test("a call is written as sent, with the most that it can come to", async () => {
    const { store, clock } = bench;
    const [user, runId] = [unique("user"), unique("run")];
    const call = opening({ runId, cost: 5_000_000_000, serviceTier: "flex" });
    await store.ledger.open(user, call);
    expect(await store.ledger.ofRun(user, runId)).toEqual([
      { ...call, user, ...NOTHING_YET, sentAt: new Date(clock.at) },
    ]);
  });

  test.each([
    settlement(),
    settlement({
      message: '{"role":"assistant","tool_calls":[]}',
      answer: "",
      serviceTier: "flex",
      tierSaved: 9,
    }),
    settlement({ cachedTokens: null, promptCacheSaved: null }),
    settlement({ cachedTokens: 0, promptCacheSaved: 0 }),
    settlement({ state: "failed", modelAnswered: null, cost: null, outcome: "truncated", answer: null }),
    unsent(),
  ])("a call is settled with what came of it: $state, cached tokens $cachedTokens", async (settled) => {
    const { store, clock } = bench;
    const [user, runId] = [unique("user"), unique("run")];
    const call = opening({ runId });
    await store.ledger.open(user, call);
    const sentAt = new Date(clock.at);
    clock.advance(1_234);
    await store.ledger.settle(user, call.id, settled);
    const settledAt = new Date(clock.at);
    const tokens = (settled.inputTokens ?? 0) + (settled.outputTokens ?? 0);
    expect(await store.ledger.ofRun(user, runId)).toEqual([
      { ...call, user, ...NOTHING_YET, ...settled, tokens, sentAt, settledAt },
    ]);
  });

  test("a call that did not tell its tokens stays at its most", async () => {
    const { ledger } = bench.store;
    const [user, runId] = [unique("user"), unique("run")];
    const call = opening({ runId, tokens: 777 });
    await ledger.open(user, call);
    const untold = { inputTokens: null, cachedTokens: null, outputTokens: null };
    await ledger.settle(user, call.id, settlement({ state: "unknown", ...untold, answer: null }));
    expect(await ledger.ofRun(user, runId)).toMatchObject([{ state: "unknown", tokens: 777, ...untold }]);
  });

  test("a call that is opened again stays as it is", async () => {
    const { ledger } = bench.store;
    const [user, runId] = [unique("user"), unique("run")];
    const call = opening({ runId });
    await ledger.open(user, call);
    await ledger.settle(user, call.id, settlement());
    await ledger.open(user, call);
    expect(await ledger.ofRun(user, runId)).toMatchObject([{ state: "answered" }]);
  });

  test("an attempt that is opened many times at once has one row", async () => {
    const { ledger } = bench.store;
    const [user, runId] = [unique("user"), unique("run")];
    const call = opening({ runId });
    await Promise.all(Array.from({ length: 20 }, () => ledger.open(user, call)));
    expect(await ledger.ofRun(user, runId)).toHaveLength(1);
    expect(await ledger.spent(user, runId)).toMatchObject({ calls: 1, cost: call.cost });
  });

  test("an id that another user's call has is refused, as the call would not be counted", async () => {
    const { ledger } = bench.store;
    const [user, runId] = [unique("user"), unique("run")];
    const call = opening({ runId });
    await ledger.open(unique("user"), call);
    await expect(ledger.open(user, call)).rejects.toThrow();
    expect(await ledger.spent(user, runId)).toEqual(NO_USAGE);
  });

  test("a call of the public endpoint has neither run nor step, and is counted like any other", async () => {
    const { store, clock } = bench;
    const user = unique("user");
    const call = endpointOpening({ keyId: null });
    await store.ledger.open(user, call);
    const day = new Date(clock.at).toISOString().slice(0, 10);
    expect(await store.ledger.spentOn(user, day)).toMatchObject({ calls: 1, cost: call.cost });
    await store.ledger.settle(user, call.id, settlement({ cost: 7 }));
    expect(await store.ledger.spentOn(user, day)).toMatchObject({ calls: 1, cost: 7 });
  });

  test("a late answer to a call that was given up counts", async () => {
    const { store, clock } = bench;
    const [user, runId] = [unique("user"), unique("run")];
    const call = opening({ runId });
    await store.ledger.open(user, call);
    clock.advance(60_000);
    await store.dispatch.abandonCalls(30_000);
    expect(await store.ledger.ofRun(user, runId)).toMatchObject([{ state: "unknown", cost: call.cost }]);
    await store.ledger.settle(user, call.id, settlement());
    expect(await store.ledger.ofRun(user, runId)).toMatchObject([{ state: "answered", cost: 410 }]);
  });

  test("the calls of a run are listed in the order they were sent", async () => {
    const { store, clock } = bench;
    const [user, runId] = [unique("user"), unique("run")];
    const sent: string[] = [];
    for (const id of ["c", "a", "b"]) {
      clock.advance(1);
      sent.push(`${unique("step")}.${id}`);
      await store.ledger.open(user, opening({ id: sent.at(-1) ?? "", runId }));
    }
    expect((await store.ledger.ofRun(user, runId)).map((row) => row.id)).toEqual(sent);
  });

  test("nothing of a call can be seen or changed by another user", async () => {
    const { ledger } = bench.store;
    const [user, other, runId] = [unique("user"), unique("user"), unique("run")];
    const call = opening({ runId });
    await ledger.open(user, call);
    await ledger.settle(other, call.id, settlement());
    expect(await ledger.ofRun(other, runId)).toEqual([]);
    expect(await ledger.spent(other, runId)).toEqual(NO_USAGE);
    expect(await ledger.ofRun(user, runId)).toMatchObject([{ state: "sent" }]);
  });

  test("odd ids are of no call", async () => {
    const { ledger } = bench.store;
    const nothing = { calls: 0, tokens: 0, cost: 0, unpriced: 0 };
    for (const id of ODD_IDS) {
      await ledger.settle(id, id, settlement());
      expect(await ledger.ofRun(id, id)).toEqual([]);
      expect(await ledger.spent(id, id)).toEqual(NO_USAGE);
      expect(await ledger.spentOn(id, id)).toEqual(nothing);
      expect(await ledger.usage(id, { from: id, to: id })).toEqual([]);
      expect(await ledger.erase(id, { of: "run", runId: id })).toBe(0);
      const query = { keyId: id, recipe: id, recipeVersion: 1, since: new Date(0) };
      expect(await ledger.findAnswer(id, query)).toBeNull();
    }
  });
}

function describeFoundAnswers(bench: Bench): void {
  test("an answer is found by scope, key, recipe and version, if it is fresh enough", async () => {
    const { store, clock } = bench;
    const [user, keyId] = [unique("user"), unique("v1.key")];
    const scope = `user:${user}`;
    const id = await settledCall(store, user, {
      opening: { scope, keyId },
      settlement: { message: '{"a":1}' },
    });
    const query = { keyId, recipe: "summary", recipeVersion: 1, since: new Date(clock.at) };
    expect(await store.ledger.findAnswer(scope, query)).toMatchObject({
      ...settlement({ message: '{"a":1}' }),
      id,
      settledAt: new Date(clock.at),
    });
    expect(await store.ledger.findAnswer(scope, { ...query, keyId: unique("v1.key") })).toBeNull();
    expect(await store.ledger.findAnswer(scope, { ...query, recipe: "quiz" })).toBeNull();
    expect(await store.ledger.findAnswer(scope, { ...query, recipeVersion: 2 })).toBeNull();
    expect(await store.ledger.findAnswer(scope, { ...query, since: new Date(clock.at + 1) })).toBeNull();
    expect(await store.ledger.findAnswer(user, query)).toBeNull();
    expect(await store.ledger.findAnswer(`user:${unique("user")}`, query)).toBeNull();
  });

  test("an answer in the scope of a shared book is found whoever paid for it", async () => {
    const { store } = bench;
    const [scope, keyId] = [unique("book:shared"), unique("v1.key")];
    const payer = unique("user");
    const id = await settledCall(store, payer, { opening: { scope, keyId } });
    const query = { keyId, recipe: "summary", recipeVersion: 1, since: new Date(0) };
    expect(await store.ledger.findAnswer(scope, query)).toMatchObject({ id, user: payer });
  });

  test("the newest answer is found, and what is no answer never", async () => {
    const { store, clock } = bench;
    const [user, keyId] = [unique("user"), unique("v1.key")];
    const scope = `user:${user}`;
    const query = { keyId, recipe: "summary", recipeVersion: 1, since: new Date(0) };
    const settle = async (more: Parameters<typeof settlement>[0]): Promise<void> => {
      const call = opening({ scope, keyId });
      await store.ledger.open(user, call);
      clock.advance(1_000);
      await store.ledger.settle(user, call.id, settlement(more));
    };
    await store.ledger.open(user, opening({ scope, keyId }));
    await settle({ state: "failed", answer: "broken" });
    await settle({ state: "unknown", answer: "broken" });
    await settle({ answer: null });
    expect(await store.ledger.findAnswer(scope, query)).toBeNull();
    await settle({ answer: "older" });
    await settle({ answer: "newer" });
    await settle({ state: "failed", answer: null });
    expect(await store.ledger.findAnswer(scope, query)).toMatchObject({ answer: "newer" });
  });

  test("an answer to the public endpoint is not reused for a step", async () => {
    const { store } = bench;
    const [user, keyId] = [unique("user"), unique("v1.key")];
    const scope = `user:${user}`;
    await settledCall(store, user, { opening: endpointOpening({ scope, keyId }) });
    const query = { keyId, recipe: "summary", recipeVersion: 1, since: new Date(0) };
    expect(await store.ledger.findAnswer(scope, query)).toBeNull();
  });
}

function describeSpending(bench: Bench): void {
  test("a run without calls spent nothing", async () => {
    expect(await bench.store.ledger.spent(unique("user"), unique("run"))).toEqual(NO_USAGE);
  });

  test("what a run spent is the sum of its calls, those on their way at their most", async () => {
    const { ledger } = bench.store;
    const [user, runId] = [unique("user"), unique("run")];
    const calls = [opening({ runId }), opening({ runId }), opening({ runId, cost: 9_000_000_000 })];
    for (const call of calls) await ledger.open(user, call);
    await ledger.settle(user, calls[0]?.id ?? "", settlement({ cost: 400 }));
    const uncounted = { outputTokens: 0, cachedTokens: null };
    await ledger.settle(user, calls[1]?.id ?? "", settlement({ state: "failed", cost: 33, ...uncounted }));
    await ledger.open(user, opening({ runId: unique("run") }));
    await ledger.open(unique("user"), opening({ runId }));
    expect(await ledger.spent(user, runId)).toEqual({
      calls: 3,
      inputTokens: 200,
      cachedTokens: 20,
      outputTokens: 30,
      cost: 9_000_000_433,
      reusedAnswers: 0,
    });
  });

  test("a call of unknown price makes the cost of its run unknown", async () => {
    const { ledger } = bench.store;
    const [user, runId] = [unique("user"), unique("run")];
    await ledger.open(user, opening({ runId, cost: 100 }));
    await ledger.open(user, opening({ runId, cost: null }));
    expect(await ledger.spent(user, runId)).toMatchObject({ calls: 2, cost: null });
  });
}

function describeCallsPaidTwice(bench: Bench): void {
  /** Two calls of one request that are on their way together: the ids in the order in which they were sent. */
  const sendTwo = async (runId: string, more: Parameters<typeof opening>[0] = {}) => {
    const keyId = unique("v1.key");
    const calls = [opening({ runId, keyId, ...more }), opening({ runId, keyId, ...more })] as const;
    for (const call of calls) {
      bench.clock.advance(10);
      await bench.store.ledger.open("user", call);
    }
    return calls.map(({ id }) => id);
  };
  const paidTwice = async (runId: string) => {
    const rows = await bench.store.ledger.ofRun("user", runId);
    return rows.filter((row) => row.paidTwice).map(({ id }) => id);
  };
  const settle = async (id: string | undefined, more: Parameters<typeof settlement>[0] = {}) => {
    bench.clock.advance(10);
    await bench.store.ledger.settle("user", id ?? "", settlement(more));
  };

  test.each([
    ["first", 0],
    ["last", 1],
  ] as const)(
    "of two calls with one request on their way together, the one sent later was needless, also when it is answered %s",
    async (_, later) => {
      const runId = unique("run");
      const ids = await sendTwo(runId);
      await settle(ids[1 - later]);
      expect(await paidTwice(runId)).toEqual([]);
      await settle(ids[later]);
      expect(await paidTwice(runId)).toEqual([ids[1]]);
      for (const id of ids) await settle(id);
      expect(await paidTwice(runId)).toEqual([ids[1]]);
    },
  );

  test("of many that are settled at the same moment all but one were needless", async () => {
    const [runId, keyId] = [unique("run"), unique("v1.key")];
    const calls = Array.from({ length: 12 }, () => opening({ runId, keyId }));
    for (const call of calls) await bench.store.ledger.open("user", call);
    await Promise.all(calls.map(({ id }) => bench.store.ledger.settle("user", id, settlement())));
    const needless = calls.slice(1).map(({ id }) => id);
    expect((await paidTwice(runId)).sort()).toEqual(needless.sort());
  });

  test("a call that was sent after the answer was there, such as a month later, is a new one", async () => {
    const [runId, keyId] = [unique("run"), unique("v1.key")];
    for (let call = 0; call < 3; call++) {
      bench.clock.advance(30 * 86_400_000);
      await settledCall(bench.store, "user", { opening: { runId, keyId } });
      bench.clock.advance(1);
    }
    expect(await paidTwice(runId)).toEqual([]);
  });

  test.each([
    ["asked for an answer of its own", { askedAnew: true }, {}],
    ["has no key", { keyId: null }, {}],
    ["failed", {}, { state: "failed" as const, answer: null }],
  ])("a call that %s is no second one", async (_, opened, settled) => {
    const runId = unique("run");
    const [first, second] = await sendTwo(runId, opened);
    await settle(first);
    await settle(second, settled);
    expect(await paidTwice(runId)).toEqual([]);
  });

  test("the same key in another scope is another request", async () => {
    const [runId, keyId] = [unique("run"), unique("v1.key")];
    const calls = ["user:a", "user:b"].map((scope) => opening({ runId, keyId, scope }));
    for (const call of calls) await bench.store.ledger.open("user", call);
    for (const { id } of calls) await settle(id);
    expect(await paidTwice(runId)).toEqual([]);
  });
}

function describeSealedTexts(bench: Bench): void {
  const SECRET = "Castorp stays for seven years";
  const TEXTS = { answer: SECRET, message: `{"content":"${SECRET}"}` };

  /** The same store as a process sees it that has this sealer, or none. */
  const reopened = (name: string | null) => {
    const [mongodbUrl = "", dataDir = ""] = bench.spawnArgs;
    const sealer = name === null ? null : nameOnlySealer(name);
    return openStore({ mongodbUrl: mongodbUrl === "" ? null : mongodbUrl, dataDir, sealer });
  };
  const query = (keyId: string) => ({ keyId, recipe: "summary", recipeVersion: 1, since: new Date(0) });

  test("texts are kept sealed, and come back as they were", async () => {
    const [user, runId, keyId] = [unique("user"), unique("run"), unique("v1.key")];
    await settledCall(bench.store, user, { opening: { runId, keyId }, settlement: TEXTS });
    expect(await bench.store.ledger.ofRun(user, runId)).toMatchObject([TEXTS]);
    expect(await bench.store.ledger.findAnswer("user:someone", query(keyId))).toMatchObject(TEXTS);
    await using behind = await reopened(null);
    const [row] = await behind.ledger.ofRun(user, runId);
    expect(row?.answer).toMatch(/^sealed\./);
    expect(row?.message).toMatch(/^sealed\./);
    expect(row?.answer === row?.message).toBe(false);
  });

  test("an answer that cannot be opened is not there, and its amounts are", async () => {
    const [user, runId, keyId] = [unique("user"), unique("run"), unique("v1.key")];
    await settledCall(bench.store, user, { opening: { runId, keyId }, settlement: TEXTS });
    await using other = await reopened("other");
    expect(await other.ledger.findAnswer("user:someone", query(keyId))).toBeNull();
    expect(await other.ledger.ofRun(user, runId)).toMatchObject([{ answer: null, message: null, cost: 410 }]);
  });

  test("an answer that was moved into another row does not open there", async () => {
    const [user, runId] = [unique("user"), unique("run")];
    await settledCall(bench.store, user, { opening: { runId }, settlement: TEXTS });
    await using behind = await reopened(null);
    const [row] = await behind.ledger.ofRun(user, runId);
    const moved = { answer: row?.answer ?? null, message: row?.message ?? null };
    const elsewhere = unique("run");
    await settledCall(behind, user, { opening: { runId: elsewhere }, settlement: moved });
    expect(await bench.store.ledger.ofRun(user, elsewhere)).toMatchObject([{ answer: null, message: null }]);
  });

  test("a text from before there was a key stays readable", async () => {
    const [user, runId] = [unique("user"), unique("run")];
    await using before = await reopened(null);
    await settledCall(before, user, { opening: { runId }, settlement: TEXTS });
    expect(await bench.store.ledger.ofRun(user, runId)).toMatchObject([TEXTS]);
  });
}
