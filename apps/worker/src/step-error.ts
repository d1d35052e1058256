import { ModelError } from "@mythic/llm";
import type { Failure } from "@mythic/runs";

/** Why a step failed, and whether trying again may help. */
export interface StepFailure extends Failure {
  readonly retryable: boolean;
  /** The least time to wait, when the one who refused said so. */
  readonly retryAfterMs: number;
  /** True when nothing failed: what the step needs is not there now. */
  readonly postpones: boolean;
  /** Resolves when what it needs is there before that time; null when nobody can tell. */
  readonly sooner: ((signal: AbortSignal) => Promise<void>) | null;
}

/** An error that a step throws itself. */
export class StepError extends Error {
  override readonly name = "StepError";
  readonly code: string;
  readonly retryable: boolean;

  constructor(code: string, detail: string, retryable: boolean) {
    super(detail);
    this.code = code;
    this.retryable = retryable;
  }
}

/**
 * Reads what went wrong. Errors of the model, the recipes and the store carry a code, a sentence for people and whether a
 * retry may help; of any other error nothing is shown, as its words may hold anything.
 */
export function failureOf(error: unknown): StepFailure {
  if (error instanceof Error && "code" in error && "retryable" in error && typeof error.code === "string") {
    const after = "retryAfterMs" in error && typeof error.retryAfterMs === "number" ? error.retryAfterMs : 0;
    return {
      code: error.code,
      detail: error.message,
      retryable: error.retryable === true,
      retryAfterMs: after,
      postpones: error instanceof ModelError && error.postpones,
      sooner: error instanceof ModelError ? error.sooner : null,
    };
  }
  const detail = "Something unexpected went wrong in the worker; its log has the details.";
  const never = { postpones: false, sooner: null };
  return { code: "internal_error", detail, retryable: true, retryAfterMs: 0, ...never };
}
