import type { RunUsage } from "../../run.ts";
import type { AnswerQuery, LedgerOpening, LedgerRow, LedgerSettlement, LedgerStore } from "../../store.ts";
import { date, dateOrNull } from "./columns.ts";
import type { Database } from "./database.ts";

/** A row of `ledger`. */
interface CallRow {
  readonly id: string;
  readonly user: string;
  readonly run_id: string;
  readonly step_id: string;
  readonly recipe: string;
  readonly recipe_version: number;
  readonly digest: string;
  readonly state: LedgerRow["state"];
  readonly model_asked: string;
  readonly model_answered: string | null;
  readonly input_tokens: number;
  readonly cached_tokens: number;
  readonly output_tokens: number;
  readonly cost: number | null;
  readonly latency_ms: number | null;
  readonly outcome: string | null;
  readonly answer: string | null;
  readonly sent_at: number;
  readonly settled_at: number | null;
}

interface SpentRow {
  readonly calls: number;
  readonly input_tokens: number;
  readonly cached_tokens: number;
  readonly output_tokens: number;
  readonly cost: number | null;
}

export class SqliteLedger implements LedgerStore {
  readonly #database: Database;
  readonly #now: () => number;

  constructor(database: Database, now: () => number) {
    this.#database = database;
    this.#now = now;
  }

  async open(user: string, opening: LedgerOpening): Promise<void> {
    const { id, runId, stepId, recipe, recipeVersion, digest, modelAsked, cost } = opening;
    await this.#database.run(
      `INSERT INTO ledger (id, user, run_id, step_id, recipe, recipe_version, digest, state, model_asked, input_tokens,
         cached_tokens, output_tokens, cost, sent_at)
       VALUES ($id, $user, $runId, $stepId, $recipe, $recipeVersion, $digest, 'sent', $modelAsked, 0, 0, 0, $cost, $now)
       ON CONFLICT (id) DO NOTHING`,
      { id, user, runId, stepId, recipe, recipeVersion, digest, modelAsked, cost, now: this.#now() },
    );
  }

  async settle(user: string, id: string, settlement: LedgerSettlement): Promise<void> {
    const { state, modelAnswered, inputTokens, cachedTokens, outputTokens } = settlement;
    const { cost, latencyMs, outcome, answer } = settlement;
    await this.#database.run(
      `UPDATE ledger SET state = $state, model_answered = $modelAnswered, input_tokens = $inputTokens,
         cached_tokens = $cachedTokens, output_tokens = $outputTokens, cost = $cost, latency_ms = $latencyMs,
         outcome = $outcome, answer = $answer, settled_at = $now
       WHERE id = $id AND user = $user`,
      {
        ...{ id, user, state, modelAnswered, inputTokens, cachedTokens, outputTokens },
        ...{ cost, latencyMs, outcome, answer, now: this.#now() },
      },
    );
  }

  async findAnswer(user: string, query: AnswerQuery): Promise<LedgerRow | null> {
    const { digest, recipe, recipeVersion, since } = query;
    const row = await this.#database.read((statements) =>
      statements.get<CallRow>(
        `SELECT * FROM ledger
         WHERE user = $user AND digest = $digest AND state = 'answered' AND answer IS NOT NULL AND settled_at >= $since
           AND recipe = $recipe AND recipe_version = $recipeVersion
         ORDER BY settled_at DESC LIMIT 1`,
        { user, digest, recipe, recipeVersion, since: since.getTime() },
      ),
    );
    return row ? callOf(row) : null;
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

  async ofRun(user: string, runId: string): Promise<readonly LedgerRow[]> {
    const rows = await this.#database.read((statements) =>
      statements.all<CallRow>(
        "SELECT * FROM ledger WHERE user = $user AND run_id = $runId ORDER BY sent_at, id",
        { user, runId },
      ),
    );
    return rows.map(callOf);
  }
}

function callOf(row: CallRow): LedgerRow {
  return {
    id: row.id,
    user: row.user,
    runId: row.run_id,
    stepId: row.step_id,
    recipe: row.recipe,
    recipeVersion: row.recipe_version,
    digest: row.digest,
    state: row.state,
    modelAsked: row.model_asked,
    modelAnswered: row.model_answered,
    inputTokens: row.input_tokens,
    cachedTokens: row.cached_tokens,
    outputTokens: row.output_tokens,
    cost: row.cost,
    latencyMs: row.latency_ms,
    outcome: row.outcome,
    answer: row.answer,
    sentAt: date(row.sent_at),
    settledAt: dateOrNull(row.settled_at),
  };
}
