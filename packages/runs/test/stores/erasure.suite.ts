import { describe, expect, test } from "@jest/globals";
import type { Erasure } from "../../src/ledger.ts";
import { type Bench, type OpenFresh, storeForAll, storeForEach } from "./bench.ts";
import { createdRun, endpointOpening, opening, saved, settledCall, settlement, unique } from "./samples.ts";

const ALWAYS = { from: "0000-01-01", to: "9999-12-31" };
const TEXTS = { answer: "Castorp", message: '{"content":"Castorp"}' };

export function describeErasure(openFresh: OpenFresh): void {
  describe("erasure", () => {
    const bench = storeForAll(openFresh);
    describeKinds(bench);
    describeOfUser(bench);
    describeOfEveryone(storeForEach(openFresh));
  });
}

function describeKinds(bench: Bench): void {
  /** Calls that differ in one thing from the first each, by the name of that thing. All of them are of one user. */
  const callsOf = async (user: string) => {
    const { store } = bench;
    const bookId = unique("book");
    const run = await createdRun(store, user, { bookId });
    const again = await createdRun(store, user, { bookId });
    const other = await createdRun(store, user);
    const call = async (more: Parameters<typeof opening>[0], answered = "model-2030"): Promise<string> => {
      bench.clock.advance(3_600_000);
      return await settledCall(store, user, {
        opening: { runId: run.id, modelAsked: "model", ...more },
        settlement: { ...TEXTS, modelAnswered: answered },
      });
    };
    return {
      runId: run.id,
      bookId,
      ids: {
        first: await call({}),
        sameBook: await call({ runId: again.id }),
        otherBook: await call({ runId: other.id }),
        otherRecipe: await call({ recipe: "quiz" }),
        otherVersion: await call({ recipeVersion: 2 }),
        otherModel: await call({ modelAsked: "other" }, "other-2030"),
        aliased: await call({ modelAsked: "alias" }, "model"),
      },
      runs: [run.id, again.id, other.id],
    };
  };

  const keepsText = async (user: string, runs: readonly string[]): Promise<readonly string[]> => {
    const rows = await Promise.all(runs.map((runId) => bench.store.ledger.ofRun(user, runId)));
    const all = rows.flat();
    for (const row of all) expect(row.answer === null).toBe(row.erasedAt !== null);
    for (const row of all) expect(row.message === null).toBe(row.erasedAt !== null);
    return all.filter((row) => row.answer !== null).map(({ id }) => id);
  };

  test.each([
    ["a run", ["sameBook", "otherBook"], ({ runId }) => ({ of: "run", runId })],
    ["a book", ["otherBook"], ({ bookId }) => ({ of: "book", bookId })],
    ["a model, asked or answering", ["otherModel"], () => ({ of: "model", model: "model" })],
    [
      "a version of a recipe",
      ["otherRecipe", "otherVersion"],
      () => ({ of: "recipe", recipe: "summary", recipeVersion: 1 }),
    ],
    ["a user", [], () => ({ of: "everything" })],
    [
      "a run of which there is none",
      ["first", "sameBook", "otherBook", "otherRecipe", "otherVersion", "otherModel", "aliased"],
      () => ({ of: "run", runId: "none" }),
    ],
  ] as [string, string[], (made: { runId: string; bookId: string }) => Erasure][])(
    "texts of %s are removed, all others stay",
    async (_, kept, erasure) => {
      const user = unique("user");
      const { ids, runs, ...made } = await callsOf(user);
      const erased = await bench.store.ledger.erase(user, erasure(made));
      const staying = Object.entries(ids)
        .filter(([name]) => kept.includes(name))
        .map(([, id]) => id);
      expect([...(await keepsText(user, runs))].sort()).toEqual(staying.sort());
      expect(erased).toBe(Object.keys(ids).length - kept.length);
      expect(await bench.store.ledger.erase(user, erasure(made))).toBe(0);
    },
  );

  test("nothing of another user is removed", async () => {
    const [user, other] = [unique("user"), unique("user")];
    const { runs, runId, bookId } = await callsOf(user);
    const before = await keepsText(user, runs);
    for (const erasure of [
      { of: "everything" },
      { of: "run", runId },
      { of: "book", bookId },
      { of: "model", model: "model" },
    ] as const) {
      expect(await bench.store.ledger.erase(other, erasure)).toBe(0);
    }
    expect(await keepsText(user, runs)).toEqual(before);
  });
}

function describeOfUser(bench: Bench): void {
  test("amounts stay: what was spent, saved and wasted reads as before", async () => {
    const { ledger } = bench.store;
    const [user, runId] = [unique("user"), unique("run")];
    await settledCall(bench.store, user, { opening: { runId } });
    await settledCall(bench.store, user, { opening: endpointOpening() });
    await ledger.open(user, opening({ runId }));
    await ledger.countSaved(user, saved());
    const before = [await ledger.usage(user, ALWAYS), await ledger.spent(user, runId)];
    expect(await ledger.erase(user, { of: "everything" })).toBe(3);
    expect([await ledger.usage(user, ALWAYS), await ledger.spent(user, runId)]).toEqual(before);
  });

  test("the answer to one request is removed by its key, and no other", async () => {
    const { ledger } = bench.store;
    const user = unique("user");
    const keys = [unique("v1.key"), unique("v1.key")] as const;
    for (const keyId of keys)
      await settledCall(bench.store, user, { opening: { keyId, scope: `user:${user}` } });
    const find = (keyId: string) =>
      ledger.findAnswer(`user:${user}`, { keyId, recipe: "summary", recipeVersion: 1, since: new Date(0) });
    expect(await ledger.erase(unique("user"), { of: "request", keyId: keys[0] })).toBe(0);
    expect(await ledger.erase(user, { of: "request", keyId: keys[0] })).toBe(1);
    expect(await find(keys[0])).toBeNull();
    expect(await find(keys[1])).not.toBeNull();
  });

  test("an erased answer is not found any more, and one that is paid for afterwards is", async () => {
    const { ledger } = bench.store;
    const [user, keyId] = [unique("user"), unique("v1.key")];
    const scope = `user:${user}`;
    const query = { keyId, recipe: "summary", recipeVersion: 1, since: new Date(0) };
    await settledCall(bench.store, user, { opening: { scope, keyId } });
    await ledger.erase(user, { of: "everything" });
    expect(await ledger.findAnswer(scope, query)).toBeNull();
    bench.clock.advance(1);
    const id = await settledCall(bench.store, user, { opening: { scope, keyId } });
    expect(await ledger.findAnswer(scope, query)).toMatchObject({ id });
  });

  test("the answer to a call that was on its way is not kept, its amounts are", async () => {
    const { store, clock } = bench;
    const [user, runId] = [unique("user"), unique("run")];
    const call = opening({ runId });
    await store.ledger.open(user, call);
    const erasedAt = new Date(clock.at);
    expect(await store.ledger.erase(user, { of: "run", runId })).toBe(1);
    clock.advance(1_000);
    await store.ledger.settle(user, call.id, settlement(TEXTS));
    expect(await store.ledger.ofRun(user, runId)).toMatchObject([
      { state: "answered", cost: 410, answer: null, message: null, erasedAt },
    ]);
  });

  test("answers that come in while texts are removed do not stay", async () => {
    const { ledger } = bench.store;
    const [user, runId] = [unique("user"), unique("run")];
    const calls = Array.from({ length: 30 }, () => opening({ runId }));
    for (const call of calls) await ledger.open(user, call);
    await Promise.all([
      ...calls.map(({ id }) => ledger.settle(user, id, settlement(TEXTS))),
      ledger.erase(user, { of: "everything" }),
    ]);
    for (const row of await ledger.ofRun(user, runId)) {
      expect(row).toMatchObject({ state: "answered", cost: 410, answer: null, message: null });
    }
  });

  test("more texts than one piece are all removed", async () => {
    const { ledger } = bench.store;
    const [user, runId] = [unique("user"), unique("run")];
    const calls = Array.from({ length: 1_001 }, () => opening({ runId }));
    await Promise.all(calls.map((call) => ledger.open(user, call)));
    expect(await ledger.erase(user, { of: "run", runId })).toBe(1_001);
    expect((await ledger.ofRun(user, runId)).filter((row) => row.erasedAt === null)).toEqual([]);
  });
}

function describeOfEveryone(bench: Bench): void {
  test("a model's or a recipe's texts can be removed for everyone", async () => {
    const { ledger } = bench.store;
    const users = [unique("user"), unique("user")];
    for (const user of users) {
      await settledCall(bench.store, user, { opening: { runId: "run", modelAsked: "bad" } });
      bench.clock.advance(86_400_000);
      await settledCall(bench.store, user, { opening: { runId: "run", modelAsked: "good" } });
    }
    const left = async (): Promise<number> => {
      const rows = await Promise.all(users.map((user) => ledger.ofRun(user, "run")));
      return rows.flat().filter((row) => row.answer !== null).length;
    };
    expect(await ledger.erase(null, { of: "model", model: "bad" })).toBe(2);
    expect(await left()).toBe(2);
    expect(await ledger.erase(null, { of: "recipe", recipe: "summary", recipeVersion: 1 })).toBe(2);
    expect(await left()).toBe(0);
  });
}
