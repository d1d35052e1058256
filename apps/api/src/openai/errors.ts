import { ModelError, type ModelErrorCode, PolicyError } from "@mythic/llm";
import { z } from "zod";
import { ERRORS, type ErrorCode, type FieldError, type Problem } from "../errors.ts";
import { toProblem } from "../report-error.ts";
import type { Answer } from "../send.ts";

/** As clients of OpenAI read an error. */
interface ErrorBody {
  readonly message: string;
  readonly type: string;
  readonly param: string | null;
  readonly code: string | null;
}

/** What each failure is over HTTP, where the endpoint's own status says nothing else. */
const STATUS: Readonly<Record<ModelErrorCode, number>> = {
  model_rate_limited: 429,
  model_busy: 429,
  answer_in_flight: 429,
  answer_not_cached: 504,
  model_unknown: 404,
  model_unavailable: 502,
  model_timeout: 504,
  model_refused: 502,
  model_truncated: 502,
  model_empty: 502,
  model_filtered: 400,
  model_invalid_answer: 502,
  model_rejected_request: 400,
  model_unauthorised: 502,
  model_context_exceeded: 400,
  max_cost_reached: 429,
  model_aborted: 503,
};

/** Codes that clients know under another name. */
const CODES: Partial<Record<ModelErrorCode, string>> = {
  model_rate_limited: "rate_limit_exceeded",
  model_busy: "rate_limit_exceeded",
  model_unknown: "model_not_found",
  model_context_exceeded: "context_length_exceeded",
  model_filtered: "content_filter",
};

/** The same for what is wrong before a model is asked. */
const PROBLEM_CODES: Partial<Record<ErrorCode, string>> = {
  invalid_key: "invalid_api_key",
  rate_limited: "rate_limit_exceeded",
  model_not_configured: "model_not_found",
};

/** OpenAI has one status for all that is wrong with a body. */
const PROBLEM_STATUS: Partial<Record<ErrorCode, number>> = { invalid_request: 400 };

/** Whatever was thrown, in OpenAI's shape. */
export function errorAnswer(thrown: unknown): Answer & { readonly code: string } {
  if (thrown instanceof ModelError) return ofModel(thrown);
  if (thrown instanceof PolicyError)
    return answer(400, { message: thrown.message, code: "invalid_cache_header" });
  return ofProblem(toProblem(thrown));
}

/** Without the words of what caused it: an endpoint's may repeat what it was asked, or our key. */
export function loggable(thrown: unknown): unknown {
  if (!(thrown instanceof ModelError)) return thrown;
  const { name, message, code, status, stack } = thrown;
  return { type: name, message, code, status, stack, causes: namesOf(thrown.cause) };
}

const MOST_CAUSES = 5;
/** Those of Node; an endpoint's own are words of its own. */
const SYSTEM_CODE = /^[A-Z][A-Z_]{1,40}$/;

/** The cause, its cause, and so on: `APIConnectionError`, `TypeError`, `Error ECONNREFUSED`. */
function namesOf(cause: unknown): readonly string[] {
  const names: string[] = [];
  for (let error = cause; error instanceof Error && names.length < MOST_CAUSES; error = error.cause) {
    const code: unknown = "code" in error ? error.code : undefined;
    const kind = error.constructor.name;
    names.push(typeof code === "string" && SYSTEM_CODE.test(code) ? `${kind} ${code}` : kind);
  }
  return names;
}

function ofProblem({ code, message, errors, headers }: Problem): Answer & { readonly code: string } {
  const status = PROBLEM_STATUS[code] ?? ERRORS[code].status;
  const fields = errors.map((error) => ({ name: nameOf(error), detail: error.detail }));
  const words = fields.map(({ name, detail }) => `${name}: ${detail}`).join("; ");
  const error = {
    message: words === "" ? message : `${message} ${words}`,
    param: fields[0]?.name ?? null,
    code: PROBLEM_CODES[code] ?? code,
  };
  return answer(status, error, headers);
}

/** `messages.0.role`, as OpenAI names what is wrong. */
function nameOf({ pointer, parameter }: FieldError): string {
  return parameter ?? pointer?.slice(1).replaceAll("/", ".") ?? "";
}

function ofModel(error: ModelError): Answer & { readonly code: string } {
  const { code, retryAfterMs, message, retryable } = error;
  const told = wordsOf(error);
  const status = isShown(error) ? (error.status ?? STATUS[code]) : STATUS[code];
  const headers = {
    ...(retryAfterMs === null ? {} : retryAfter(retryAfterMs)),
    // Clients of the SDK would else try again whatever has this status.
    ...(retryable ? {} : { "x-should-retry": "false" }),
  };
  return answer(status, { message, code: CODES[code] ?? code, ...told }, headers);
}

/** Clients of the SDK read the first, others the second. */
function retryAfter(ms: number): Readonly<Record<string, string>> {
  return {
    "retry-after-ms": String(Math.ceil(ms)),
    "retry-after": String(Math.max(1, Math.ceil(ms / 1_000))),
  };
}

/** What the endpoint says of the request is for who made it; what it says of our key is not. */
function isShown({ code, status }: ModelError): boolean {
  return status !== null && status >= 400 && code !== "model_unauthorised";
}

const toldSchema = z.object({
  error: z.object({
    message: z.string(),
    type: z.string().nullish(),
    param: z.string().nullish(),
    code: z.string().nullish(),
  }),
});

/** The endpoint's own words about the request, if they came to this process. */
function wordsOf(error: ModelError): Partial<ErrorBody> {
  const told = isShown(error) ? toldSchema.safeParse(error.cause).data?.error : undefined;
  if (told === undefined) return {};
  const { message, type, param, code } = told;
  return { message, param: param ?? null, ...(type ? { type } : {}), ...(code ? { code } : {}) };
}

function answer(
  status: number,
  {
    message,
    code,
    param = null,
    type = typeOf(status),
  }: Partial<ErrorBody> & Pick<ErrorBody, "message" | "code">,
  headers: Readonly<Record<string, string>> = {},
): Answer & { readonly code: string } {
  const error: ErrorBody = { message, type, param, code };
  return { status, headers, json: { error }, code: code ?? "error" };
}

function typeOf(status: number): string {
  if (status === 401) return "authentication_error";
  if (status === 403) return "permission_error";
  if (status === 429) return "rate_limit_error";
  return status < 500 ? "invalid_request_error" : "server_error";
}
