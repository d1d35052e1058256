import type { Failure } from "./book.ts";

/**
 * A run: one book through some recipes, for one user.
 *
 * ```
 * queued ──▶ running ──▶ succeeded | partial | failed
 *    │          │
 *    └──────────┴──▶ cancelling ──▶ cancelled
 * ```
 * `queued`: nothing of it was claimed yet, the book may still be parsed. `running`: at least one step was claimed.
 * `cancelling`: someone asked to stop and steps are still at work. `partial`: there is a result, and `failures` names what is
 * missing from it. `failed`: no result at all. A retry takes `partial`, `failed` and `cancelled` back to `queued`.
 */
export type RunStatus =
  | "queued"
  | "running"
  | "cancelling"
  | "succeeded"
  | "partial"
  | "failed"
  | "cancelled";

export const TERMINAL_RUN_STATUSES = [
  "succeeded",
  "partial",
  "failed",
  "cancelled",
] as const satisfies RunStatus[];
export const LIVE_RUN_STATUSES = ["queued", "running", "cancelling"] as const satisfies RunStatus[];

/** True once nothing more happens to a run by itself. */
export function isTerminal(status: RunStatus): boolean {
  return TERMINAL_RUN_STATUSES.some((terminal) => terminal === status);
}

/** What a run is busy with. */
export type RunStage = "parsing" | "chapters" | "merging" | "finishing" | "done";

export interface RunOptions {
  /** Hard stop for what the run may spend, in nano-dollars. */
  readonly maxCost: number | null;
  /** Ask the model anew although the ledger holds an answer. */
  readonly fresh: boolean;
  /** Of the provider: calls at a lower price that may take minutes. The usual one without it. */
  readonly serviceTier?: "flex";
}

/** Units of work, counted in steps. */
export interface RunCounts {
  readonly total: number;
  readonly completed: number;
  readonly failed: number;
}

/** What a run has spent, summed over its ledger rows. */
export interface RunUsage {
  readonly calls: number;
  readonly inputTokens: number;
  /** The part of `inputTokens` that the provider had cached. */
  readonly cachedTokens: number;
  readonly outputTokens: number;
  /** Nano-dollars; null when a price is not known. */
  readonly cost: number | null;
  /** Answers taken from the ledger instead of being paid for again. */
  readonly reusedAnswers: number;
}

export const NO_USAGE: RunUsage = {
  calls: 0,
  inputTokens: 0,
  cachedTokens: 0,
  outputTokens: 0,
  cost: 0,
  reusedAnswers: 0,
};

/** A unit that is missing from the result of a partial run. */
export interface RunFailure extends Failure {
  readonly step: string;
  /** What is missing, for people: a chapter's title, or "summary of the whole book". */
  readonly unit: string;
}

export interface Run {
  readonly id: string;
  readonly user: string;
  readonly bookId: string;
  readonly recipes: readonly string[];
  readonly options: RunOptions;
  /** The model that answers; null runs the recipes' offline methods. */
  readonly model: string | null;
  readonly status: RunStatus;
  readonly stage: RunStage;
  readonly counts: RunCounts;
  readonly usage: RunUsage;
  readonly failures: readonly RunFailure[];
  /** Why the whole run failed. */
  readonly error: Failure | null;
  readonly queuedAt: Date;
  readonly runningAt: Date | null;
  readonly cancellingAt: Date | null;
  readonly succeededAt: Date | null;
  readonly partialAt: Date | null;
  readonly failedAt: Date | null;
  readonly cancelledAt: Date | null;
  /** Rises by one with every change. */
  readonly revision: number;
}
