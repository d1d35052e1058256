import { StoreUnavailableError } from "@mythic/runs";
import { ERRORS, Problem } from "./errors.ts";
import type { Answer } from "./send.ts";

/** When a client may ask again after the store was away. */
const STORE_RETRY_SECONDS = 2;

/** Whatever was thrown, as the problem that the client is told of. Words of unknown errors stay here: they may hold anything. */
export function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof StoreUnavailableError) {
    return new Problem("store_unavailable", "The store does not answer. What was asked may have happened.", {
      cause: error,
      headers: { "retry-after": String(STORE_RETRY_SECONDS) },
    });
  }
  // Express decodes path parameters before anyone sees them.
  if (error instanceof URIError) return new Problem("not_found", "There is nothing at this address.");
  return new Problem(
    "internal_error",
    "Something unexpected went wrong. The log has it under this request id.",
    {
      cause: error,
    },
  );
}

/** The body of RFC 9457. */
export function problemBody(problem: Problem, requestId: string): Readonly<Record<string, unknown>> {
  const { status, title } = ERRORS[problem.code];
  return {
    type: `urn:mythic:problem:${problem.code}`,
    title,
    status,
    detail: problem.message,
    code: problem.code,
    request_id: requestId,
    ...(problem.errors.length > 0 ? { errors: problem.errors } : {}),
    ...problem.more,
  };
}

export function problemAnswer(problem: Problem, requestId: string): Answer {
  return {
    status: ERRORS[problem.code].status,
    headers: problem.headers,
    raw: {
      type: "application/problem+json; charset=utf-8",
      content: JSON.stringify(problemBody(problem, requestId)),
    },
  };
}
