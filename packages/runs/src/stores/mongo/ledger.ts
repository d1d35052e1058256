import type { Collection } from "mongodb";
import { z } from "zod";
import type { RunUsage } from "../../run.ts";
import type { AnswerQuery, LedgerOpening, LedgerRow, LedgerSettlement, LedgerStore } from "../../store.ts";
import { type Connection, is, isDuplicate } from "./connection.ts";
import { fromStored, type Stored, toStored } from "./stored.ts";

export type LedgerDocument = Stored<LedgerRow>;

const schema: z.ZodType<LedgerRow> = z.object({
  id: z.string(),
  user: z.string(),
  runId: z.string(),
  stepId: z.string(),
  recipe: z.string(),
  recipeVersion: z.number(),
  digest: z.string(),
  state: z.enum(["sent", "answered", "failed", "unknown"]),
  modelAsked: z.string(),
  modelAnswered: z.string().nullable(),
  inputTokens: z.number(),
  cachedTokens: z.number(),
  outputTokens: z.number(),
  cost: z.number().nullable(),
  latencyMs: z.number().nullable(),
  outcome: z.string().nullable(),
  answer: z.string().nullable(),
  sentAt: z.date(),
  settledAt: z.date().nullable(),
});

const sums = z.object({
  calls: z.number(),
  inputTokens: z.number(),
  cachedTokens: z.number(),
  outputTokens: z.number(),
  cost: z.number(),
  unpriced: z.number(),
});

export function ledgerIn(connection: Connection): Collection<LedgerDocument> {
  return connection.db.collection<LedgerDocument>("ledger");
}

export class MongoLedger implements LedgerStore {
  readonly #connection: Connection;
  readonly #ledger: Collection<LedgerDocument>;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#ledger = ledgerIn(connection);
  }

  async open(user: string, opening: LedgerOpening): Promise<void> {
    const { id, runId, stepId, recipe, recipeVersion, digest, modelAsked, cost } = opening;
    const row: LedgerRow = {
      ...{ id, user, runId, stepId, recipe, recipeVersion, digest, modelAsked, cost },
      state: "sent",
      modelAnswered: null,
      inputTokens: 0,
      cachedTokens: 0,
      outputTokens: 0,
      latencyMs: null,
      outcome: null,
      answer: null,
      sentAt: this.#connection.now(),
      settledAt: null,
    };
    try {
      await this.#connection.run(() => this.#ledger.insertOne(toStored(row)));
    } catch (error) {
      // The id names one call of one claim, so a row that is there is this one.
      if (!isDuplicate(error)) throw error;
    }
  }

  /** In any state: what a late answer says is nearer to the truth than `unknown`. */
  async settle(user: string, id: string, settlement: LedgerSettlement): Promise<void> {
    const { state, modelAnswered, inputTokens, cachedTokens, outputTokens } = settlement;
    const { cost, latencyMs, outcome, answer } = settlement;
    const settledAt = this.#connection.now();
    const change = { state, modelAnswered, inputTokens, cachedTokens, outputTokens, cost, latencyMs };
    await this.#connection.run(() =>
      this.#ledger.updateOne(
        { _id: is(id), user: is(user) },
        { $set: { ...change, outcome, answer, settledAt } },
      ),
    );
  }

  async findAnswer(user: string, query: AnswerQuery): Promise<LedgerRow | null> {
    const filter = {
      user: is(user),
      digest: is(query.digest),
      recipe: is(query.recipe),
      recipeVersion: is(query.recipeVersion),
      state: "answered" as const,
      answer: { $ne: null },
      settledAt: { $gte: query.since },
    };
    const found = await this.#connection.run((options) =>
      this.#ledger.findOne(filter, { ...options, sort: { settledAt: -1 } }),
    );
    return found && parseRow(found);
  }

  async spent(user: string, runId: string): Promise<RunUsage> {
    const pipeline = [
      { $match: { user: is(user), runId: is(runId) } },
      {
        $group: {
          _id: null,
          calls: { $sum: 1 },
          inputTokens: { $sum: "$inputTokens" },
          cachedTokens: { $sum: "$cachedTokens" },
          outputTokens: { $sum: "$outputTokens" },
          cost: { $sum: "$cost" },
          unpriced: { $sum: { $cond: [{ $eq: ["$cost", null] }, 1, 0] } },
        },
      },
    ];
    const [found] = await this.#connection.run((options) =>
      this.#ledger.aggregate(pipeline, options).toArray(),
    );
    const nothing = { calls: 0, inputTokens: 0, cachedTokens: 0, outputTokens: 0, cost: 0, unpriced: 0 };
    const { unpriced, cost, ...usage } = sums.parse(found ?? nothing);
    return { ...usage, cost: unpriced > 0 ? null : cost, reusedAnswers: 0 };
  }

  async ofRun(user: string, runId: string): Promise<readonly LedgerRow[]> {
    const found = await this.#connection.run((options) =>
      this.#ledger
        .find({ user: is(user), runId: is(runId) }, { ...options, batchSize: 10_000 })
        .sort({ sentAt: 1, _id: 1 })
        .toArray(),
    );
    return found.map(parseRow);
  }
}

function parseRow(document: LedgerDocument): LedgerRow {
  return schema.parse(fromStored(document));
}
