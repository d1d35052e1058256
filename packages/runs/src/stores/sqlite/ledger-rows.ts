import type { LedgerRow } from "../../ledger.ts";
import { date, dateOrNull, fromJsonOrNull } from "./columns.ts";

/** A row of `ledger`. */
export interface CallRow {
  readonly id: string;
  readonly user: string;
  readonly scope: string;
  readonly run_id: string | null;
  readonly step_id: string | null;
  readonly recipe: string | null;
  readonly recipe_version: number | null;
  readonly prompt: string | null;
  readonly key_id: string | null;
  readonly asked_anew: number;
  readonly state: LedgerRow["state"];
  readonly upstream: string | null;
  readonly model_asked: string;
  readonly model_answered: string | null;
  readonly service_tier: string | null;
  readonly input_tokens: number | null;
  readonly cached_tokens: number | null;
  readonly output_tokens: number | null;
  readonly tokens: number;
  readonly price: string | null;
  readonly cost: number | null;
  readonly prompt_cache_saved: number | null;
  readonly tier_saved: number | null;
  readonly paid_twice: number;
  readonly latency_ms: number | null;
  readonly sent_at: number;
  readonly settled_at: number | null;
  readonly erased_at: number | null;
  readonly outcome: string | null;
  readonly answer: string | null;
  readonly message: string | null;
}

/** The texts as they are kept. */
export function callOf(row: CallRow): LedgerRow {
  return {
    id: row.id,
    user: row.user,
    scope: row.scope,
    runId: row.run_id,
    stepId: row.step_id,
    recipe: row.recipe,
    recipeVersion: row.recipe_version,
    prompt: row.prompt,
    keyId: row.key_id,
    askedAnew: row.asked_anew === 1,
    state: row.state,
    upstream: row.upstream,
    modelAsked: row.model_asked,
    modelAnswered: row.model_answered,
    serviceTier: row.service_tier,
    inputTokens: row.input_tokens,
    cachedTokens: row.cached_tokens,
    outputTokens: row.output_tokens,
    tokens: row.tokens,
    price: fromJsonOrNull(row.price),
    cost: row.cost,
    promptCacheSaved: row.prompt_cache_saved,
    tierSaved: row.tier_saved,
    paidTwice: row.paid_twice === 1,
    latencyMs: row.latency_ms,
    outcome: row.outcome,
    answer: row.answer,
    message: row.message,
    sentAt: date(row.sent_at),
    settledAt: dateOrNull(row.settled_at),
    erasedAt: dateOrNull(row.erased_at),
  };
}
