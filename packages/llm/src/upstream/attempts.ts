import type { ModelErrorCode } from "../model-error.ts";

/** What a failed call says about asking again. */
export interface FailedAttempt {
  readonly code: ModelErrorCode;
  readonly retryable: boolean;
  /** As the endpoint asked, in milliseconds; null: it did not say. */
  readonly retryAfterMs: number | null;
}

export interface NextAttempt {
  /** Not before so many milliseconds from now. */
  readonly afterMs: number;
  /** Attempts made so far, for the next question. */
  readonly attempts: number;
}

/**
 * | Number | Value | Why |
 * |---|---|---|
 * | `most` | 5 | an endpoint that fails five times in a row, over a minute or so, is not having a bad moment |
 * | `firstMs` | 1,000 | a restart behind a load balancer takes about as long |
 * | `mostMs` | 60,000 | longer would leave a healthy endpoint idle |
 */
export const ATTEMPTS = { most: 5, firstMs: 1_000, mostMs: 60_000 } as const;

/**
 * Not answered because of what the endpoint or its account had to do for others: that says nothing about the request, so it is no
 * attempt.
 */
const NO_ATTEMPT: ReadonlySet<ModelErrorCode> = new Set(["model_rate_limited", "model_aborted"]);

/**
 * When to ask again, after `attempts` that failed before this one; null: never. Full jitter
 * (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/) on top of what the endpoint asked to wait, so that
 * many who failed together do not come back together. Whoever asks decides what to do with that time: nothing here waits.
 */
export function nextAttempt(
  failed: FailedAttempt,
  attempts: number,
  random: () => number = Math.random,
): NextAttempt | null {
  if (!failed.retryable) return null;
  const made = NO_ATTEMPT.has(failed.code) ? attempts : attempts + 1;
  if (made >= ATTEMPTS.most) return null;
  const ceiling = Math.min(ATTEMPTS.mostMs, ATTEMPTS.firstMs * 2 ** Math.max(0, made - 1));
  return { afterMs: Math.ceil((failed.retryAfterMs ?? 0) + random() * ceiling), attempts: made };
}
