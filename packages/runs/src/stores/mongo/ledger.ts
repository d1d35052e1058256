import type { Collection } from "mongodb";
import { z } from "zod";
import type {
  AnswerQuery,
  Erasure,
  LedgerOpening,
  LedgerRow,
  LedgerSettlement,
  LedgerStore,
} from "../../ledger.ts";
import type { RunUsage } from "../../run.ts";
import {
  type Amount,
  type DailyUsage,
  type Day,
  type DayRange,
  needlessCalls,
  type Saved,
} from "../../usage.ts";
import type { LedgerTexts } from "../ledger-texts.ts";
import { type Connection, is, isDuplicate } from "./connection.ts";
import { MongoErasure } from "./ledger-erasure.ts";
import { type LedgerDocument, ledgerIn, parseCall, toDocument } from "./ledger-rows.ts";
import { MongoUsage } from "./ledger-usage.ts";

const sums = z.object({
  calls: z.number(),
  inputTokens: z.number(),
  cachedTokens: z.number(),
  outputTokens: z.number(),
  cost: z.number(),
  unpriced: z.number(),
});

export class MongoLedger implements LedgerStore {
  readonly #connection: Connection;
  readonly #texts: LedgerTexts;
  readonly #ledger: Collection<LedgerDocument>;
  readonly #usage: MongoUsage;
  readonly #erasure: MongoErasure;

  constructor(connection: Connection, texts: LedgerTexts) {
    this.#connection = connection;
    this.#texts = texts;
    this.#ledger = ledgerIn(connection);
    this.#usage = new MongoUsage(connection);
    this.#erasure = new MongoErasure(connection);
  }

  async open(user: string, opening: LedgerOpening): Promise<void> {
    const { id, scope, runId, stepId, recipe, recipeVersion, prompt, keyId, askedAnew } = opening;
    const { upstream, modelAsked, serviceTier, tokens, price, cost } = opening;
    const row: LedgerRow = {
      ...{ id, user, scope, runId, stepId, recipe, recipeVersion, prompt, keyId, askedAnew },
      ...{ upstream, modelAsked, serviceTier, tokens, price, cost },
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
      sentAt: this.#connection.now(),
      settledAt: null,
      erasedAt: null,
    };
    try {
      await this.#connection.run(() => this.#ledger.insertOne(toDocument(row)));
    } catch (error) {
      // The id names one attempt, so a row that is there is this one: its first writing came through although nobody heard of it.
      if (!isDuplicate(error) || !(await this.#isThere(user, id))) throw error;
    }
  }

  /** In any state: what a late answer says is nearer to the truth than `unknown`. */
  async settle(user: string, id: string, settlement: LedgerSettlement): Promise<void> {
    const { state, modelAnswered, serviceTier, inputTokens, cachedTokens, outputTokens } = settlement;
    const { price, cost, promptCacheSaved, tierSaved, latencyMs, outcome } = settlement;
    const change = {
      ...{ state, modelAnswered, serviceTier, inputTokens, cachedTokens, outputTokens },
      ...{ price, cost, promptCacheSaved, tierSaved, latencyMs, outcome },
      ...(inputTokens !== null && outputTokens !== null && { tokens: inputTokens + outputTokens }),
      settledAt: this.#connection.now(),
    };
    const mine = { _id: is(id), user: is(user) };
    const texts = this.#texts.toStored(id, settlement);
    const projection = { answer: 0, message: 0 };
    const update = (more: object, whole: object) =>
      this.#connection.run(() =>
        this.#ledger.findOneAndUpdate(
          { ...mine, ...more },
          { $set: whole },
          { returnDocument: "after", projection },
        ),
      );
    const settled =
      (await update({ erasedAt: null }, { ...change, ...texts })) ??
      (await update({}, { ...change, answer: null, message: null }));
    if (settled && state === "answered" && !settled.askedAnew) await this.#markNeedless(settled);
  }

  async findAnswer(scope: string, query: AnswerQuery): Promise<LedgerRow | null> {
    const filter = {
      scope: is(scope),
      keyId: is(query.keyId),
      recipe: is(query.recipe),
      recipeVersion: is(query.recipeVersion),
      state: "answered" as const,
      answer: { $ne: null },
      settledAt: { $gte: query.since },
    };
    const document = await this.#connection.run((options) =>
      this.#ledger.findOne(filter, { ...options, sort: { settledAt: -1 } }),
    );
    const found = document && this.#texts.fromStored(parseCall(document));
    return found === null || found.answer === null ? null : found;
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

  spentOn(user: string, day: Day): Promise<Amount> {
    return this.#usage.spentOn(user, day);
  }

  async ofRun(user: string, runId: string): Promise<readonly LedgerRow[]> {
    const found = await this.#connection.run((options) =>
      this.#ledger
        .find({ user: is(user), runId: is(runId) }, { ...options, batchSize: 10_000 })
        .sort({ sentAt: 1, _id: 1 })
        .toArray(),
    );
    return found.map((document) => this.#texts.fromStored(parseCall(document)));
  }

  countSaved(user: string, saved: Saved): Promise<void> {
    return this.#usage.countSaved(user, saved);
  }

  usage(user: string | null, days: DayRange): Promise<readonly DailyUsage[]> {
    return this.#usage.ofDays(user, days);
  }

  erase(user: string | null, erasure: Erasure): Promise<number> {
    return this.#erasure.erase(user, erasure);
  }

  async #isThere(user: string, id: string): Promise<boolean> {
    const found = await this.#connection.run((options) =>
      this.#ledger.findOne({ _id: is(id), user: is(user) }, { ...options, projection: { _id: 1 } }),
    );
    return found !== null;
  }

  /**
   * Looks only after the row was written: of two that are settled at once, at least the one that looks last sees both, and each
   * who sees both marks the same one.
   */
  async #markNeedless({
    scope,
    keyId,
    sentAt,
    settledAt,
  }: Pick<LedgerDocument, "scope" | "keyId" | "sentAt" | "settledAt">): Promise<void> {
    if (keyId === null || settledAt === null) return;
    const together = {
      scope: is(scope),
      keyId: is(keyId),
      state: "answered" as const,
      askedAnew: false,
      settledAt: { $gte: sentAt },
      sentAt: { $lte: settledAt },
    };
    const found = await this.#connection.run((options) =>
      this.#ledger.find(together, { ...options, projection: { sentAt: 1 } }).toArray(),
    );
    const needless = needlessCalls(found.map(({ _id, sentAt: at }) => ({ id: _id, sentAt: at })));
    if (needless.length === 0) return;
    const update = { $set: { paidTwice: true } };
    await this.#connection.run(() => this.#ledger.updateMany({ _id: { $in: [...needless] } }, update));
  }
}
