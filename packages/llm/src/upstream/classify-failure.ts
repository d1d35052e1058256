import { APIConnectionError, APIConnectionTimeoutError, APIError } from "openai";
import { ModelError } from "../model-error.ts";
import { ResponseTooLargeError } from "./fetch-with-limit.ts";
import { readRetryAfter } from "./retry-after.ts";

/** A call that brought no completion. */
export interface Failure {
  readonly error: ModelError;
  /** True when the endpoint may have worked on the request and may charge for it. */
  readonly mayBePaid: boolean;
  /** Of the response; null: there was none, or it broke off. */
  readonly status: number | null;
}

export interface FailureContext {
  /** Who ended the call before its end: the caller, or the time. */
  readonly endedBy: "stopped" | "timeout" | null;
  readonly now: Date;
}

/** No connection was made, so nothing was sent. */
const NEVER_SENT = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_CONNECT_TIMEOUT",
  "CERT_HAS_EXPIRED",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "ERR_TLS_CERT_ALTNAME_INVALID",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
]);
/** A proxy in front of the model did not wait for its answer, which may be made all the same: 504, and Cloudflare's 524. */
const GAVE_UP_WAITING = new Set([504, 524]);
/** As different endpoints say that a text is too long. */
const TOO_LONG =
  /context[ _](?:length|window)|maximum context|too many (?:input )?tokens|prompt is too long|input is too long/i;
const NO_MEANS = new Set(["insufficient_quota", "billing_hard_limit_reached", "billing_not_active"]);

export function classifyFailure(thrown: unknown, { endedBy, now }: FailureContext): Failure {
  if (endedBy === "stopped") return stoppedCall(thrown, true);
  if (endedBy === "timeout" || thrown instanceof APIConnectionTimeoutError) {
    const error = new ModelError("model_timeout", "The model did not answer in time.", { cause: thrown });
    return { error, mayBePaid: !wasNeverSent(thrown), status: null };
  }
  if (thrown instanceof APIError && !(thrown instanceof APIConnectionError)) {
    const status: unknown = thrown.status;
    if (typeof status !== "number") return classifyEvent(thrown);
    return { error: classifyStatus(thrown, status, now), mayBePaid: GAVE_UP_WAITING.has(status), status };
  }
  const garbage = garbageIn(thrown);
  if (garbage !== null) return noCompletion(garbage, thrown);
  const neverSent = wasNeverSent(thrown);
  const message = neverSent ? "The model's endpoint cannot be reached." : BROKE_OFF;
  const error = new ModelError("model_unavailable", message, { cause: thrown });
  return { error, mayBePaid: !neverSent, status: null };
}

const BROKE_OFF = "The connection to the model broke off.";

/** A call that its caller stopped. */
export function stoppedCall(cause: unknown, mayBePaid: boolean): Failure {
  const error = new ModelError("model_aborted", "The call was stopped.", { cause });
  return { error, mayBePaid, status: null };
}

/** A stream that ended before its answer did. */
export function brokenStream(): Failure {
  return { error: new ModelError("model_unavailable", BROKE_OFF), mayBePaid: true, status: 200 };
}

/** What came is not what an endpoint of this kind sends; work may have been done for it. */
export function noCompletion(message: string, cause?: unknown): Failure {
  return {
    error: new ModelError("model_invalid_answer", message, { cause }),
    mayBePaid: true,
    status: 200,
  };
}

function garbageIn(thrown: unknown): string | null {
  const isTooLarge = [thrown, thrown instanceof Error && thrown.cause].some(
    (error) => error instanceof ResponseTooLargeError,
  );
  if (isTooLarge) return "The endpoint's response is too long.";
  return thrown instanceof SyntaxError ? "The endpoint's response is not JSON." : null;
}

/** An error in the midst of a stream, whose status was 200: by then the model was at work. */
function classifyEvent(thrown: APIError): Failure {
  const words = `${thrown.code ?? ""} ${thrown.type ?? ""}`;
  const code = isTooLong(thrown)
    ? "model_context_exceeded"
    : words.includes("rate_limit")
      ? "model_rate_limited"
      : words.includes("content_filter")
        ? "model_filtered"
        : "model_unavailable";
  const error = new ModelError(code, "The model's endpoint broke its answer off with an error.", {
    cause: thrown,
  });
  return { error, mayBePaid: true, status: 200 };
}

function isTooLong(thrown: APIError): boolean {
  return thrown.code === "context_length_exceeded" || TOO_LONG.test(thrown.message);
}

function classifyStatus(thrown: APIError, status: number, now: Date): ModelError {
  const options = { cause: thrown, status, retryAfterMs: readRetryAfter(thrown.headers, now) };
  const answered = `The model's endpoint answered ${status}`;
  if (status === 429) return classifyLimit(thrown, options);
  if (status === 401 || status === 403) {
    return new ModelError(
      "model_unauthorised",
      `${answered}: the key is not valid or may not use this model.`,
      options,
    );
  }
  if (status === 408) return new ModelError("model_timeout", "The model did not answer in time.", options);
  if (status >= 500 || status === 409 || status === 425) {
    return new ModelError("model_unavailable", `${answered}.`, options);
  }
  if (isTooLong(thrown)) {
    return new ModelError("model_context_exceeded", "The text is too long for the model.", options);
  }
  if (thrown.code === "content_filter") {
    return new ModelError("model_filtered", "The endpoint's content filter refused the request.", options);
  }
  return new ModelError("model_rejected_request", `${answered}: it does not take the request.`, options);
}

function classifyLimit(
  thrown: APIError,
  options: { cause: unknown; status: number; retryAfterMs: number | null },
): ModelError {
  if (NO_MEANS.has(String(thrown.code)) || NO_MEANS.has(String(thrown.type))) {
    const message = "The account at the model's endpoint has no means left.";
    return new ModelError("model_rate_limited", message, { ...options, retryable: false });
  }
  return new ModelError(
    "model_rate_limited",
    "The model's endpoint takes no more requests for now.",
    options,
  );
}

/** Looks down the causes, where Node keeps the system's code. */
function wasNeverSent(thrown: unknown): boolean {
  let error = thrown;
  for (let depth = 0; depth < 5 && typeof error === "object" && error !== null; depth += 1) {
    if ("code" in error && NEVER_SENT.has(String(error.code))) return true;
    if ("errors" in error && Array.isArray(error.errors)) error = error.errors[0];
    else error = "cause" in error ? error.cause : null;
  }
  return false;
}
