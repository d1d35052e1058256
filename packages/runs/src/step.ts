import type { Failure } from "./book.ts";

/**
 * A step: the unit of work of a run, or of a book's parsing. One claim, one result.
 *
 * ```
 * pending ──claim──▶ running ──▶ done
 *    ▲                  │  └───▶ failed      (errors used up, or one that no retry can mend)
 *    │                  ├─ error ──────▶ pending, attempts + 1, not before a while
 *    │                  ├─ lease lost ─▶ pending, crashes + 1   (dead at the third)
 *    │                  ├─ handed back ▶ pending, handbacks + 1 (a deploy; costs nothing)
 *    │                  └─ postponed ──▶ pending, not before what it waits for is likely to be there (costs nothing)
 *    ├── cancelled when its run is, while nobody works on it
 *    └── waiting ◀── a retry of its run took it back, with whatever it is made from; pending once its inputs have ended
 * ```
 * A claim sets owner and lease and raises the fence. Every later write names the fence, and a fence that is not the
 * step's own any more writes nothing.
 */
export type StepState = "waiting" | "pending" | "running" | "done" | "failed" | "cancelled" | "dead";

/** `parse` belongs to a book; the others to a run. */
export type StepKind = "parse" | "chapter" | "merge" | "finish";

export interface NewStep {
  /** Deterministic, so that a fan-out can be repeated: see plan-run.ts. */
  readonly id: string;
  readonly user: string;
  readonly bookId: string;
  readonly runId: string | null;
  readonly kind: StepKind;
  readonly recipe: string | null;
  /** Index of the chapter, or `<level>.<index>` of a merge and `book` for the last one, or an empty string. */
  readonly unit: string;
  /** For people: a chapter's title, or what is merged. */
  readonly title: string;
  /** Step ids whose results a merge reads. */
  readonly inputs: readonly string[];
}

export interface Step extends NewStep {
  readonly state: StepState;
  readonly fence: number;
  readonly owner: string | null;
  readonly leaseUntil: Date | null;
  /** Errors so far. */
  readonly attempts: number;
  /** Leases that ran out so far. */
  readonly crashes: number;
  /** Times it was given back by a worker that stopped. */
  readonly handbacks: number;
  readonly notBefore: Date;
  /** How often a wake-up was sent, and when last. */
  readonly dispatches: number;
  readonly dispatchedAt: Date | null;
  readonly error: Failure | null;
  /** What it waits for since it was postponed; null once someone works on it again. */
  readonly postponed: Failure | null;
  readonly resultId: string | null;
  /** Answers that came from the ledger instead of being paid for again. */
  readonly reusedAnswers: number;
  readonly createdAt: Date;
  readonly startedAt: Date | null;
  readonly endedAt: Date | null;
}

export const STEP_POLICY = {
  /** How long a claim holds without a heartbeat. */
  leaseMs: 15_000,
  /** Errors that end a step as `failed`. */
  maxAttempts: 5,
  /** Lost leases that end a step as `dead`. */
  maxCrashes: 3,
  /** A retry waits a random time up to `base × 2^(attempts-1)`, capped (full jitter). */
  retryBaseMs: 1_000,
  retryCapMs: 60_000,
  /** A wake-up that led to no claim within this time is sent again. */
  redispatchMs: 20_000,
  /** Steps of one user that wait in the queue at most; the rest waits in the store. */
  windowPerUser: 64,
} as const;

export type StepPolicy = { readonly [Key in keyof typeof STEP_POLICY]: number };

const ENDED: readonly StepState[] = ["done", "failed", "cancelled", "dead"];

/** True once a step will not be worked on again by itself. */
export function hasEnded(state: StepState): boolean {
  return ENDED.includes(state);
}

/** When a step may be tried again: exponential back-off with full jitter (AWS Architecture Blog, 2015). */
export function retryDelayMs(
  attempts: number,
  policy: StepPolicy,
  random: () => number = Math.random,
): number {
  const ceiling = Math.min(policy.retryCapMs, policy.retryBaseMs * 2 ** Math.max(0, attempts - 1));
  return Math.round(random() * ceiling);
}
