import type { Document } from "mongodb";
import { z } from "zod";
import { dayOf } from "../../usage.ts";
import type { Connection } from "./connection.ts";

const ROWS_AT_ONCE = 500;
/** For dropping the index of a large collection. */
const DROP_MS = 60_000;

/** What is read of a row of version 1. */
const schema = z.object({
  _id: z.string(),
  user: z.string(),
  digest: z.string(),
  inputTokens: z.number(),
  cachedTokens: z.number(),
  outputTokens: z.number(),
  cost: z.number().nullable(),
  sentAt: z.date(),
});

type Version1Row = z.infer<typeof schema>;

/** Rows without a day are of version 1; those that have one were taken forward already, by whoever was stopped in the midst. */
export async function ledgerToVersion2(connection: Connection): Promise<void> {
  const ledger = connection.db.collection<Document & { _id: string }>("ledger");
  const indexes = await connection.run(() => ledger.indexes());
  if (indexes.some(({ name }) => name === "answers")) {
    await connection.run(() => ledger.dropIndex("answers"), DROP_MS);
  }
  const projection = Object.fromEntries(Object.keys(schema.shape).map((field) => [field, 1]));
  for (let after = "", more = true; more; ) {
    const found = await connection.run((options) =>
      ledger
        .find({ _id: { $gte: after }, day: { $exists: false } }, { ...options, projection })
        .sort({ _id: 1 })
        .limit(ROWS_AT_ONCE)
        .toArray(),
    );
    const updates = schema
      .array()
      .parse(found)
      .map((row) => ({
        updateOne: { filter: { _id: row._id }, update: { $set: forward(row), $unset: { digest: "" } } },
      }));
    if (updates.length > 0) await connection.run(() => ledger.bulkWrite(updates, { ordered: false }));
    after = found.at(-1)?._id ?? after;
    more = found.length === ROWS_AT_ONCE;
  }
}

/** A row of version 1 said 0 for tokens that were not told, too, and only a call that was never sent cost nothing. */
function forward({ user, digest, inputTokens, cachedTokens, outputTokens, cost, sentAt }: Version1Row) {
  const tokens = inputTokens + outputTokens;
  const told = tokens > 0 || cost === 0;
  return {
    scope: `user:${user}`,
    keyId: digest,
    prompt: null,
    askedAnew: false,
    upstream: null,
    serviceTier: null,
    inputTokens: told ? inputTokens : null,
    cachedTokens: cachedTokens > 0 ? cachedTokens : null,
    outputTokens: told ? outputTokens : null,
    tokens,
    price: null,
    promptCacheSaved: cachedTokens > 0 ? null : 0,
    tierSaved: 0,
    paidTwice: false,
    message: null,
    erasedAt: null,
    day: dayOf(sentAt),
  };
}
