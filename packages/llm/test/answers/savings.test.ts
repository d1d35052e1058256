import { expect, test } from "@jest/globals";
import { waitFor } from "@mythic/testing/wait";
import { Savings } from "../../src/answers/savings.ts";
import type { Saved } from "../../src/ledger.ts";

const hit: Saved = { model: "model", cause: "hit", calls: 1, tokens: 300, cost: 1_250, unpriced: 0 };

function ledgerThat(answers: () => Promise<void> = () => Promise.resolve()) {
  const written: [string, Saved][] = [];
  const countSaved = (user: string, saved: Saved) => {
    written.push([user, saved]);
    return answers();
  };
  return { written, countSaved };
}

test("what is saved is written at once, and what comes soon after it together", async () => {
  const ledger = ledgerThat();
  await using savings = new Savings(ledger);
  for (let at = 0; at < 5; at += 1) savings.add("ada", hit);
  expect(ledger.written).toEqual([["ada", hit]]);
  await waitFor(() => ledger.written.length === 2, { what: "the second write" });
  expect(ledger.written[1]).toEqual(["ada", { ...hit, calls: 4, tokens: 1_200, cost: 5_000 }]);
});

test("users, models and causes are counted apart, and what is left is written at the end", async () => {
  const ledger = ledgerThat();
  {
    await using savings = new Savings(ledger);
    savings.add("ada", hit);
    savings.add("ada", { ...hit, cause: "coalesced" });
    savings.add("ada", { ...hit, model: "other", cost: 0, unpriced: 1 });
    savings.add("ben", hit);
    savings.add("ben", hit);
  }
  expect(ledger.written).toEqual([
    ["ada", hit],
    ["ada", { ...hit, cause: "coalesced" }],
    ["ada", { ...hit, model: "other", cost: 0, unpriced: 1 }],
    ["ben", { ...hit, calls: 2, tokens: 600, cost: 2_500 }],
  ]);
});

test("a ledger that cannot be written disturbs nobody", async () => {
  const ledger = ledgerThat(() => Promise.reject(new Error("The store is away.")));
  await using savings = new Savings(ledger);
  savings.add("ada", hit);
  savings.add("ada", hit);
  await waitFor(() => ledger.written.length === 2, { what: "the second write" });
});
