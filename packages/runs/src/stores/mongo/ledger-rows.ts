import type { Collection } from "mongodb";
import { z } from "zod";
import type { LedgerRow } from "../../ledger.ts";
import { type Day, dayOf } from "../../usage.ts";
import type { Connection } from "./connection.ts";
import { fromStored, type Stored, toStored } from "./stored.ts";

/** With the day on which it was sent, so that sums over days need no arithmetic with dates. */
export type LedgerDocument = Stored<LedgerRow> & { readonly day: Day };

const schema: z.ZodType<LedgerRow> = z.object({
  id: z.string(),
  user: z.string(),
  scope: z.string(),
  runId: z.string().nullable(),
  stepId: z.string().nullable(),
  recipe: z.string().nullable(),
  recipeVersion: z.number().nullable(),
  prompt: z.string().nullable(),
  keyId: z.string().nullable(),
  askedAnew: z.boolean(),
  state: z.enum(["sent", "answered", "failed", "unknown"]),
  upstream: z.string().nullable(),
  modelAsked: z.string(),
  modelAnswered: z.string().nullable(),
  serviceTier: z.string().nullable(),
  inputTokens: z.number().nullable(),
  cachedTokens: z.number().nullable(),
  outputTokens: z.number().nullable(),
  tokens: z.number(),
  price: z.object({ input: z.number(), cachedInput: z.number(), output: z.number() }).nullable(),
  cost: z.number().nullable(),
  promptCacheSaved: z.number().nullable(),
  tierSaved: z.number().nullable(),
  paidTwice: z.boolean(),
  latencyMs: z.number().nullable(),
  outcome: z.string().nullable(),
  answer: z.string().nullable(),
  message: z.string().nullable(),
  sentAt: z.date(),
  settledAt: z.date().nullable(),
  erasedAt: z.date().nullable(),
});

export function ledgerIn(connection: Connection): Collection<LedgerDocument> {
  return connection.db.collection<LedgerDocument>("ledger");
}

export function toDocument(row: LedgerRow): LedgerDocument {
  return { ...toStored(row), day: dayOf(row.sentAt) };
}

/** The texts as they are kept. */
export function parseCall(document: LedgerDocument): LedgerRow {
  return schema.parse(fromStored(document));
}
