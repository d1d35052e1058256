import { expect } from "@jest/globals";
import type { Store } from "../../src/store.ts";
import { sumUsage } from "../../src/usage.ts";

const call = {
  user: "user",
  runId: "run",
  stepId: "step",
  recipe: "summary",
  recipeVersion: 1,
  modelAsked: "model",
  modelAnswered: null,
  inputTokens: 0,
  cachedTokens: 0,
  outputTokens: 0,
  latencyMs: null,
  outcome: null,
  answer: null,
};

const at = (minute: number): Date => new Date(Date.UTC(2030, 0, 31, 23, minute));
const answered = { state: "answered", modelAnswered: "model-2030", latencyMs: 12.5, answer: "paid for" };

/** One of each kind, as programs of schema version 1 wrote them into the ledger. */
export const VERSION_1_CALLS = [
  {
    ...{ id: "a", ...call, ...answered, digest: "digest a", cost: 410, sentAt: at(57), settledAt: at(58) },
    ...{ inputTokens: 100, cachedTokens: 20, outputTokens: 30 },
  },
  // The endpoint counted, and said nothing of its cache; or said 0.
  {
    ...{ id: "b", ...call, ...answered, digest: "digest b", cost: 450, sentAt: at(58), settledAt: at(59) },
    ...{ inputTokens: 100, outputTokens: 30 },
  },
  // The endpoint does not count.
  { ...{ id: "c", ...call, ...answered, digest: "c", cost: null, sentAt: at(59), settledAt: at(60) } },
  {
    ...{ id: "d", ...call, state: "failed", digest: "d", cost: 0, sentAt: at(60), settledAt: at(61) },
    outcome: "model_unavailable",
  },
  {
    ...{ id: "e", ...call, state: "unknown", digest: "e", cost: 900, sentAt: at(61), settledAt: at(62) },
    outcome: "model_timeout",
  },
  { ...{ id: "f", ...call, state: "sent", digest: "f", cost: 1_000, sentAt: at(62), settledAt: null } },
] as const;

/** What version 1 did not know. */
const NEW = {
  scope: "user:user",
  prompt: null,
  askedAnew: false,
  upstream: null,
  serviceTier: null,
  price: null,
  promptCacheSaved: 0,
  tierSaved: 0,
  paidTwice: false,
  message: null,
  erasedAt: null,
};
const NOT_TOLD = { inputTokens: null, cachedTokens: null, outputTokens: null };

/** A store made of `VERSION_1_CALLS` says the same of them, and takes new ones. */
export async function expectTakenForward({ ledger }: Store): Promise<void> {
  const tokens = [
    { tokens: 130, promptCacheSaved: null },
    { tokens: 130, cachedTokens: null },
    { tokens: 0, ...NOT_TOLD },
    { tokens: 0, cachedTokens: null },
    { tokens: 0, ...NOT_TOLD },
    { tokens: 0, ...NOT_TOLD },
  ];
  expect(await ledger.ofRun("user", "run")).toEqual(
    VERSION_1_CALLS.map(({ digest: keyId, ...row }, index) => ({ ...row, ...NEW, keyId, ...tokens[index] })),
  );
  expect(await ledger.spent("user", "run")).toEqual({
    ...{ calls: 6, inputTokens: 200, cachedTokens: 20, outputTokens: 60, cost: null, reusedAnswers: 0 },
  });
  const query = { keyId: "digest a", recipe: "summary", recipeVersion: 1, since: at(58) };
  expect(await ledger.findAnswer("user:user", query)).toMatchObject({ id: "a", answer: "paid for" });
  const usage = await ledger.usage("user", { from: "2030-01-31", to: "2030-02-01" });
  expect(usage.map(({ day, spent }) => [day, spent.calls, spent.cost, spent.unpriced])).toEqual([
    ["2030-01-31", 3, 860, 1],
    ["2030-02-01", 3, 1_900, 0],
  ]);
  expect(sumUsage(usage).saved.promptCache).toEqual({ calls: 1, tokens: 20, cost: 0, unpriced: 1 });
  expect(sumUsage(usage).wasted.unknown).toEqual({ calls: 1, tokens: 0, cost: 900, unpriced: 0 });
  expect(await ledger.erase("user", { of: "everything" })).toBe(6);
  expect(await ledger.findAnswer("user:user", query)).toBeNull();
}
