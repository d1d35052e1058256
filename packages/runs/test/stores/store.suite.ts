import { describe, expect, test } from "@jest/globals";
import { type OpenFresh, storeForAll } from "./bench.ts";
import { describeBooks } from "./books.suite.ts";
import { describeClaims } from "./claims.suite.ts";
import { describeDispatch } from "./dispatch.suite.ts";
import { describeErasure } from "./erasure.suite.ts";
import { describeKeysAndReplies } from "./keys-and-replies.suite.ts";
import { describeLedger } from "./ledger.suite.ts";
import { describeRuns } from "./runs.suite.ts";
import { describeSteps } from "./steps.suite.ts";
import { describeUsage } from "./usage.suite.ts";

/** What every store must do. Each implementation runs all of it. */
export function describeStore(name: "mongodb" | "sqlite", openFresh: OpenFresh): void {
  describe(`the contract of the store, ${name}`, () => {
    const bench = storeForAll(openFresh);

    test("a store says what it is and answers a ping", async () => {
      expect(bench.store.kind).toBe(name);
      await bench.store.ping();
    });

    test("a store that was disposed of rejects everything, and can be disposed of again", async () => {
      const { store } = await openFresh();
      await store[Symbol.asyncDispose]();
      await expect(store.ping()).rejects.toMatchObject({ name: "StoreUnavailableError" });
      await expect(store.books.get("a", "b")).rejects.toMatchObject({ code: "store_unavailable" });
      await expect(store.steps.claim("a", "b", 1)).rejects.toMatchObject({ retryable: true });
      await store[Symbol.asyncDispose]();
    });

    describeBooks(openFresh);
    describeRuns(openFresh);
    describeSteps(openFresh);
    describeClaims(openFresh);
    describeDispatch(openFresh);
    describeLedger(openFresh);
    describeUsage(openFresh);
    describeErasure(openFresh);
    describeKeysAndReplies(openFresh);
  });
}
