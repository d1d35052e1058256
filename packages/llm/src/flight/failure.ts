import { ModelError } from "../model-error.ts";
import type { FlightFailure } from "./flights.ts";

/** Null for what is no failure of a call but a fault of this process. */
export function failureOf(error: unknown): FlightFailure | null {
  if (!(error instanceof ModelError)) return null;
  const { code, message, retryable, retryAfterMs } = error;
  const status = "status" in error && typeof error.status === "number" ? error.status : null;
  const mayBePaid = "mayBePaid" in error && error.mayBePaid === true;
  return { code, message, retryable, status, retryAfterMs, mayBePaid };
}

/** What other processes hear of a fault of this one, whose words may hold anything. It may have come after the answer. */
export const FAULT: FlightFailure = Object.freeze({
  code: "model_unavailable",
  message: "The process that asked the model failed.",
  retryable: true,
  status: null,
  retryAfterMs: null,
  mayBePaid: true,
});
