import type {
  AnswerQuery,
  Erasure,
  LedgerOpening,
  LedgerRow,
  LedgerSettlement,
  LedgerStore,
} from "../../ledger.ts";
import type { RunUsage } from "../../run.ts";
import type { Amount, DailyUsage, Day, DayRange, Saved } from "../../usage.ts";
import { dayOf, needlessCalls } from "../../usage.ts";
import type { LedgerTexts } from "../ledger-texts.ts";
import { date, toJsonOrNull } from "./columns.ts";
import type { Database, Statements } from "./database.ts";
import { LedgerErasure } from "./ledger-erasure.ts";
import { type CallRow, callOf } from "./ledger-rows.ts";
import { LedgerUsage } from "./ledger-usage.ts";

interface SpentRow {
  readonly calls: number;
  readonly input_tokens: number;
  readonly cached_tokens: number;
  readonly output_tokens: number;
  readonly cost: number | null;
}

const OPEN = `
INSERT INTO ledger (id, user, scope, run_id, step_id, recipe, recipe_version, prompt, key_id, asked_anew, state, upstream,
  model_asked, service_tier, tokens, price, cost, prompt_cache_saved, tier_saved, paid_twice, day, sent_at)
VALUES ($id, $user, $scope, $runId, $stepId, $recipe, $recipeVersion, $prompt, $keyId, $askedAnew, 'sent', $upstream,
  $modelAsked, $serviceTier, $tokens, $price, $cost, 0, 0, 0, $day, $now)
ON CONFLICT (id) DO NOTHING`;

const SETTLE = `
UPDATE ledger SET state = $state, model_answered = $modelAnswered, service_tier = $serviceTier, input_tokens = $inputTokens,
  cached_tokens = $cachedTokens, output_tokens = $outputTokens, tokens = coalesce($inputTokens + $outputTokens, tokens),
  price = $price, cost = $cost, prompt_cache_saved = $promptCacheSaved, tier_saved = $tierSaved, latency_ms = $latencyMs,
  outcome = $outcome, answer = iif(erased_at IS NULL, $answer, NULL), message = iif(erased_at IS NULL, $message, NULL),
  settled_at = $now
WHERE id = $id AND user = $user
RETURNING scope, key_id, sent_at, asked_anew`;

/** Answered calls with one request that were on their way together with the one that was just settled. */
const TOGETHER = `
SELECT id, sent_at FROM ledger
WHERE scope = $scope AND key_id = $keyId AND state = 'answered' AND settled_at >= $sentAt AND sent_at <= $now
  AND asked_anew = 0`;

/** Answers wait for the disk. What says no more than what was spent follows a moment later. */
const SURVIVES_A_KILL = { survivesPowerCut: false };

type SettledRow = Pick<CallRow, "scope" | "key_id" | "sent_at" | "asked_anew">;

export class SqliteLedger implements LedgerStore {
  readonly #database: Database;
  readonly #now: () => number;
  readonly #texts: LedgerTexts;
  readonly #usage: LedgerUsage;
  readonly #erasure: LedgerErasure;

  constructor(database: Database, now: () => number, texts: LedgerTexts) {
    this.#database = database;
    this.#now = now;
    this.#texts = texts;
    this.#usage = new LedgerUsage(database, now);
    this.#erasure = new LedgerErasure(database, now);
  }

  async open(user: string, opening: LedgerOpening): Promise<void> {
    const { id, scope, runId, stepId, recipe, recipeVersion, prompt, keyId, upstream } = opening;
    const { modelAsked, serviceTier, tokens, cost } = opening;
    const now = this.#now();
    await this.#database.write((statements) => {
      const written = statements.run(OPEN, {
        ...{ id, user, scope, runId, stepId, recipe, recipeVersion, prompt, keyId, upstream },
        ...{ modelAsked, serviceTier, tokens, cost, now, day: dayOf(date(now)) },
        askedAnew: Number(opening.askedAnew),
        price: toJsonOrNull(opening.price),
      });
      const mine = { id, user };
      if (written === 0 && !statements.get("SELECT 1 FROM ledger WHERE id = $id AND user = $user", mine)) {
        throw new Error(`The id of the call ${id} is taken by another user's.`);
      }
    }, SURVIVES_A_KILL);
  }

  /** In any state: what a late answer says is nearer to the truth than `unknown`. */
  async settle(user: string, id: string, settlement: LedgerSettlement): Promise<void> {
    const { state, modelAnswered, serviceTier, inputTokens, cachedTokens, outputTokens } = settlement;
    const { cost, promptCacheSaved, tierSaved, latencyMs, outcome } = settlement;
    const now = this.#now();
    const values = {
      ...{ id, user, state, modelAnswered, serviceTier, inputTokens, cachedTokens, outputTokens },
      ...{ cost, promptCacheSaved, tierSaved, latencyMs, outcome, now },
      ...this.#texts.toStored(id, settlement),
      price: toJsonOrNull(settlement.price),
    };
    const options = { survivesPowerCut: settlement.answer !== null };
    await this.#database.write((statements) => {
      const settled = statements.get<SettledRow>(SETTLE, values);
      if (settled && state === "answered" && settled.asked_anew === 0) markNeedless(statements, settled, now);
    }, options);
  }

  async findAnswer(scope: string, query: AnswerQuery): Promise<LedgerRow | null> {
    const { keyId, recipe, recipeVersion, since } = query;
    const row = await this.#database.read((statements) =>
      statements.get<CallRow>(
        `SELECT * FROM ledger
         WHERE scope = $scope AND key_id = $keyId AND state = 'answered' AND settled_at >= $since
           AND recipe = $recipe AND recipe_version = $recipeVersion AND answer IS NOT NULL
         ORDER BY settled_at DESC LIMIT 1`,
        { scope, keyId, recipe, recipeVersion, since: since.getTime() },
      ),
    );
    const found = row ? this.#texts.fromStored(callOf(row)) : null;
    return found === null || found.answer === null ? null : found;
  }

  async spent(user: string, runId: string): Promise<RunUsage> {
    const row = await this.#database.read((statements) =>
      statements.get<SpentRow>(
        `SELECT count(*) AS calls, coalesce(sum(input_tokens), 0) AS input_tokens,
           coalesce(sum(cached_tokens), 0) AS cached_tokens, coalesce(sum(output_tokens), 0) AS output_tokens,
           CASE WHEN count(*) = count(cost) THEN coalesce(sum(cost), 0) END AS cost
         FROM ledger WHERE user = $user AND run_id = $runId`,
        { user, runId },
      ),
    );
    return {
      calls: row?.calls ?? 0,
      inputTokens: row?.input_tokens ?? 0,
      cachedTokens: row?.cached_tokens ?? 0,
      outputTokens: row?.output_tokens ?? 0,
      cost: row ? row.cost : 0,
      reusedAnswers: 0,
    };
  }

  async spentOn(user: string, day: Day): Promise<Amount> {
    return await this.#usage.spentOn(user, day);
  }

  async ofRun(user: string, runId: string): Promise<readonly LedgerRow[]> {
    const rows = await this.#database.read((statements) =>
      statements.all<CallRow>(
        "SELECT * FROM ledger WHERE user = $user AND run_id = $runId ORDER BY sent_at, id",
        { user, runId },
      ),
    );
    return rows.map((row) => this.#texts.fromStored(callOf(row)));
  }

  async countSaved(user: string, saved: Saved): Promise<void> {
    await this.#usage.countSaved(user, saved);
  }

  async usage(user: string | null, days: DayRange): Promise<readonly DailyUsage[]> {
    return await this.#usage.ofDays(user, days);
  }

  async erase(user: string | null, erasure: Erasure): Promise<number> {
    return await this.#erasure.erase(user, erasure);
  }
}

function markNeedless(statements: Statements, settled: SettledRow, now: number): void {
  const { scope, key_id: keyId, sent_at: sentAt } = settled;
  if (keyId === null) return;
  const together = statements
    .all<Pick<CallRow, "id" | "sent_at">>(TOGETHER, { scope, keyId, sentAt, now })
    .map((row) => ({ id: row.id, sentAt: date(row.sent_at) }));
  for (const id of needlessCalls(together)) {
    statements.run("UPDATE ledger SET paid_twice = 1 WHERE id = $id", { id });
  }
}
