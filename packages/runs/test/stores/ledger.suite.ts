import { describe, expect, test } from "@jest/globals";
import { NO_USAGE } from "../../src/run.ts";
import { type OpenFresh, storeForAll } from "./bench.ts";
import { ODD_IDS, opening, settlement, sha256, unique } from "./samples.ts";

export function describeLedger(openFresh: OpenFresh): void {
  describe("the ledger", () => {
    const bench = storeForAll(openFresh);

    test("a call is written as sent, with the most that it can cost", async () => {
      const { store, clock } = bench;
      const [user, runId] = [unique("user"), unique("run")];
      const call = opening({ runId, cost: 5_000_000_000 });
      await store.ledger.open(user, call);
      expect(await store.ledger.ofRun(user, runId)).toEqual([
        {
          ...call,
          user,
          state: "sent",
          modelAnswered: null,
          inputTokens: 0,
          cachedTokens: 0,
          outputTokens: 0,
          latencyMs: null,
          outcome: null,
          answer: null,
          sentAt: new Date(clock.at),
          settledAt: null,
        },
      ]);
    });

    test.each([
      settlement(),
      settlement({ state: "failed", modelAnswered: null, cost: null, outcome: "truncated", answer: null }),
      settlement({ state: "unknown", latencyMs: null, outcome: "connection lost", answer: null }),
    ])("a call is settled with what came of it: $state", async (settled) => {
      const { store, clock } = bench;
      const [user, runId] = [unique("user"), unique("run")];
      const call = opening({ runId });
      await store.ledger.open(user, call);
      const sentAt = new Date(clock.at);
      clock.advance(1_234);
      await store.ledger.settle(user, call.id, settled);
      expect(await store.ledger.ofRun(user, runId)).toEqual([
        { ...call, user, ...settled, sentAt, settledAt: new Date(clock.at) },
      ]);
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

    test("an answer is found by request, recipe and version, if it is fresh enough", async () => {
      const { store, clock } = bench;
      const user = unique("user");
      const digest = sha256(user);
      const call = opening({ digest });
      await store.ledger.open(user, call);
      await store.ledger.settle(user, call.id, settlement());
      const query = { digest, recipe: "summary", recipeVersion: 1, since: new Date(clock.at) };
      expect(await store.ledger.findAnswer(user, query)).toMatchObject({
        id: call.id,
        answer: settlement().answer,
        modelAnswered: "model-2030",
        settledAt: new Date(clock.at),
      });
      expect(await store.ledger.findAnswer(user, { ...query, digest: sha256("other") })).toBeNull();
      expect(await store.ledger.findAnswer(user, { ...query, recipe: "quiz" })).toBeNull();
      expect(await store.ledger.findAnswer(user, { ...query, recipeVersion: 2 })).toBeNull();
      expect(await store.ledger.findAnswer(user, { ...query, since: new Date(clock.at + 1) })).toBeNull();
      expect(await store.ledger.findAnswer(unique("user"), query)).toBeNull();
    });

    test("the newest answer is found, and what is no answer never", async () => {
      const { store, clock } = bench;
      const user = unique("user");
      const query = { digest: sha256(user), recipe: "summary", recipeVersion: 1, since: new Date(0) };
      const settle = async (more: Parameters<typeof settlement>[0]): Promise<void> => {
        const call = opening({ digest: query.digest });
        await store.ledger.open(user, call);
        clock.advance(1_000);
        await store.ledger.settle(user, call.id, settlement(more));
      };
      await store.ledger.open(user, opening({ digest: query.digest }));
      await settle({ state: "failed", answer: "broken" });
      await settle({ state: "unknown", answer: "broken" });
      await settle({ answer: null });
      expect(await store.ledger.findAnswer(user, query)).toBeNull();
      await settle({ answer: "older" });
      await settle({ answer: "newer" });
      await settle({ state: "failed", answer: null });
      expect(await store.ledger.findAnswer(user, query)).toMatchObject({ answer: "newer" });
    });

    test("a run without calls spent nothing", async () => {
      expect(await bench.store.ledger.spent(unique("user"), unique("run"))).toEqual(NO_USAGE);
    });

    test("what a run spent is the sum of its calls, those on their way at their most", async () => {
      const { ledger } = bench.store;
      const [user, runId] = [unique("user"), unique("run")];
      const calls = [opening({ runId }), opening({ runId }), opening({ runId, cost: 9_000_000_000 })];
      for (const call of calls) await ledger.open(user, call);
      await ledger.settle(user, calls[0]?.id ?? "", settlement({ cost: 400 }));
      await ledger.settle(
        user,
        calls[1]?.id ?? "",
        settlement({ state: "failed", cost: 33, outputTokens: 0 }),
      );
      await ledger.open(user, opening({ runId: unique("run") }));
      await ledger.open(unique("user"), opening({ runId }));
      expect(await ledger.spent(user, runId)).toEqual({
        calls: 3,
        inputTokens: 200,
        cachedTokens: 40,
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
      for (const id of ODD_IDS) {
        await ledger.settle(id, id, settlement());
        expect(await ledger.ofRun(id, id)).toEqual([]);
        expect(await ledger.spent(id, id)).toEqual(NO_USAGE);
        const query = { digest: id, recipe: id, recipeVersion: 1, since: new Date(0) };
        expect(await ledger.findAnswer(id, query)).toBeNull();
      }
    });
  });
}
