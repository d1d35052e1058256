import type { Collection } from "mongodb";
import { z } from "zod";
import {
  type Amount,
  amountOf,
  CALL_PARTS,
  type CallPart,
  type DailyUsage,
  type Day,
  type DayRange,
  dailyUsage,
  dayOf,
  type Saved,
} from "../../usage.ts";
import { type Connection, is, isDuplicate } from "./connection.ts";
import { type LedgerDocument, ledgerIn } from "./ledger-rows.ts";

/** An expression of the aggregation language. */
type Expression = string | number | boolean | null | { readonly [operator: string]: readonly Expression[] };

const costsSomething: Expression = { $ne: ["$cost", 0] };

/** Which calls are part of it, and what is summed. A cost of null is one that is not known. */
const PARTS: Readonly<
  Record<CallPart, { readonly when: Expression; readonly tokens: string; readonly cost: string }>
> = {
  spent: { when: true, tokens: "$tokens", cost: "$cost" },
  promptCache: { when: { $gt: ["$cachedTokens", 0] }, tokens: "$cachedTokens", cost: "$promptCacheSaved" },
  tier: { when: { $ne: ["$tierSaved", 0] }, tokens: "$tokens", cost: "$tierSaved" },
  unusable: {
    when: { $and: [{ $eq: ["$state", "failed"] }, costsSomething] },
    tokens: "$tokens",
    cost: "$cost",
  },
  twice: { when: { $eq: ["$paidTwice", true] }, tokens: "$tokens", cost: "$cost" },
  unknown: {
    when: { $and: [{ $eq: ["$state", "unknown"] }, costsSomething] },
    tokens: "$tokens",
    cost: "$cost",
  },
};

/** The `Amount` of a part. */
function amountIn(part: CallPart): Readonly<Record<string, { readonly $sum: Expression }>> {
  const { when, tokens, cost } = PARTS[part];
  return {
    [`${part}Calls`]: { $sum: { $cond: [when, 1, 0] } },
    [`${part}Tokens`]: { $sum: { $cond: [when, tokens, 0] } },
    [`${part}Cost`]: { $sum: { $cond: [when, cost, 0] } },
    [`${part}Unpriced`]: { $sum: { $cond: [{ $and: [when, { $eq: [cost, null] }] }, 1, 0] } },
  };
}

const CALLS = {
  _id: { day: "$day", model: "$modelAsked" },
  ...Object.assign({}, ...CALL_PARTS.map(amountIn)),
  inputTokens: { $sum: "$inputTokens" },
  cachedTokens: { $sum: "$cachedTokens" },
  outputTokens: { $sum: "$outputTokens" },
};

const SPENT = { _id: null, ...amountIn("spent") };

const SAVED = {
  _id: { day: "$day", model: "$model", cause: "$cause" },
  calls: { $sum: "$calls" },
  tokens: { $sum: "$tokens" },
  cost: { $sum: "$cost" },
  unpriced: { $sum: "$unpriced" },
};

const callsSchema = z
  .object({ _id: z.object({ day: z.string(), model: z.string() }) })
  .catchall(z.number())
  .transform(({ _id, ...sums }) => ({ ..._id, sums }));

const spentSchema = z
  .object({ _id: z.null() })
  .catchall(z.number())
  .transform(({ _id, ...sums }) => sums);

const savedSchema = z
  .object({
    _id: z.object({ day: z.string(), model: z.string(), cause: z.enum(["hit", "coalesced"]) }),
    calls: z.number(),
    tokens: z.number(),
    cost: z.number(),
    unpriced: z.number(),
  })
  .transform(({ _id, ...amount }) => ({ ..._id, ...amount }));

/** One counter for each user, day, model and cause. */
interface SavingsDocument extends Saved {
  readonly _id: string;
  readonly user: string;
  readonly day: Day;
}

export class MongoUsage {
  readonly #connection: Connection;
  readonly #ledger: Collection<LedgerDocument>;
  readonly #savings: Collection<SavingsDocument>;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#ledger = ledgerIn(connection);
    this.#savings = connection.db.collection<SavingsDocument>("savings");
  }

  async ofDays(user: string | null, { from, to }: DayRange): Promise<readonly DailyUsage[]> {
    const $match = { ...(user !== null && { user: is(user) }), day: { $gte: from, $lte: to } };
    const [calls, saved] = await Promise.all([
      this.#connection.run((options) =>
        this.#ledger.aggregate([{ $match }, { $group: CALLS }], options).toArray(),
      ),
      this.#connection.run((options) =>
        this.#savings.aggregate([{ $match }, { $group: SAVED }], options).toArray(),
      ),
    ]);
    return dailyUsage(callsSchema.array().parse(calls), savedSchema.array().parse(saved));
  }

  async spentOn(user: string, day: Day): Promise<Amount> {
    const $match = { user: is(user), day: is(day) };
    const found = await this.#connection.run((options) =>
      this.#ledger.aggregate([{ $match }, { $group: SPENT }], options).toArray(),
    );
    return amountOf(spentSchema.array().parse(found)[0] ?? {}, "spent");
  }

  async countSaved(user: string, { model, cause, calls, tokens, cost, unpriced }: Saved): Promise<void> {
    const day = dayOf(this.#connection.now());
    const counter = { _id: JSON.stringify([user, day, model, cause]) };
    const update = { $inc: { calls, tokens, cost, unpriced }, $setOnInsert: { user, day, model, cause } };
    const count = () =>
      this.#connection.run(() => this.#savings.updateOne(counter, update, { upsert: true }));
    try {
      await count();
    } catch (error) {
      // Another process made the counter at the same moment, so now there is one to add to.
      if (!isDuplicate(error)) throw error;
      await count();
    }
  }
}
