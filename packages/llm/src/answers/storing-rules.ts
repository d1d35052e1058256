import { ModelError } from "../model-error.ts";
import type { ChatRequest } from "../request/chat-request.ts";
import { isSnapshotOf } from "../upstream/prices.ts";
import type { Answer } from "./answer.ts";
import type { AnswerPolicy } from "./policy.ts";

/** Why an answer is not kept, each with the rest of the sentence "The answer was not kept: …". */
export const NOT_STORED = {
  mode: "the mode of the call keeps nothing",
  ttl: "the call asked to keep it for no time",
  failed: "the call brought no answer",
  refused: "the model declined to answer",
  filtered: "the endpoint's content filter kept it back",
  truncated: "it was cut off at the limit of output tokens",
  not_ended: "it did not come to its end",
  tool_calls: "it calls tools, and the call did not ask to keep such answers",
  empty: "it is empty",
  parts:
    "the request asks for more than one text: several choices, probabilities, sound, sources or calls of functions",
  schema: "it was not found to fit the format that the request asks for",
  other_model: "another model than the one asked for wrote it",
  turned_down: "the caller turned it down",
} as const satisfies Readonly<Record<string, string>>;

export type NotStored = keyof typeof NOT_STORED;

/** An answer before it is judged. */
export type Candidate = Omit<Answer, "finishReason"> & {
  /** Null: the endpoint did not say, or its stream ended without its last chunk. */
  readonly finishReason: string | null;
};

/** What the check of an answer against its schema said; `none`: there was none to check against. */
export type SchemaVerdict = "fits" | "broken" | "none";

export interface Judged {
  readonly request: ChatRequest;
  /** A call that failed has its error here. */
  readonly outcome: Candidate | ModelError;
  readonly policy: AnswerPolicy;
  readonly schema: SchemaVerdict;
  /** Whether a model that answered is known as the one asked for. Without it dated snapshots alone are. */
  readonly isAlias?: (asked: string, answered: string) => boolean;
}

/** Why this answer must not be given to anyone else; null for one that may. */
export function whyNotStored(judged: Judged): NotStored | null {
  const { request, outcome, policy } = judged;
  if (policy.mode === "bypass" || policy.mode === "only-if-cached") return "mode";
  if (policy.ttlMs === 0) return "ttl";
  if (outcome instanceof ModelError) return "failed";
  return (
    whyNotWhole(outcome, policy) ??
    (asksForParts(request) ? "parts" : null) ??
    whyNotFitting(judged, outcome) ??
    (policy.storeWhen?.({ ...outcome, finishReason: String(outcome.finishReason) }) === false
      ? "turned_down"
      : null)
  );
}

/** An answer of no use to anyone would be one for as long as it is kept. */
function whyNotWhole({ message, text, finishReason }: Candidate, policy: AnswerPolicy): NotStored | null {
  if (finishReason === "content_filter") return "filtered";
  if (message.refusal) return "refused";
  if (finishReason === "length") return "truncated";
  const callsTools = (message.tool_calls?.length ?? 0) > 0;
  // A tool that had to be called ends in "stop", as a text does.
  if (finishReason !== "stop" && !(callsTools && finishReason === "tool_calls")) return "not_ended";
  if (callsTools) return policy.toolCalls === true ? null : "tool_calls";
  return text.trim() === "" ? "empty" : null;
}

/** What an `Answer` does not hold would be missing when it is given again. */
export function asksForParts(request: ChatRequest): boolean {
  const { n, logprobs, modalities, functions, web_search_options: search } = request;
  const several = n !== undefined && n !== null && n !== 1;
  const isExtended = [functions, search].some((asked) => asked !== undefined && asked !== null);
  return (
    several ||
    isExtended ||
    logprobs === true ||
    (Array.isArray(modalities) && modalities.some((kind) => kind !== "text"))
  );
}

function whyNotFitting({ request, schema, isAlias }: Judged, answer: Candidate): NotStored | null {
  const isText = !answer.message.tool_calls?.length;
  if (schema === "broken" || (schema === "none" && isText && asksForJson(request))) return "schema";
  const { modelAnswered } = answer;
  if (modelAnswered === null || modelAnswered === request.model) return null;
  const known =
    isSnapshotOf(request.model, modelAnswered) || isAlias?.(request.model, modelAnswered) === true;
  return known ? null : "other_model";
}

function asksForJson({ response_format: format }: ChatRequest): boolean {
  return typeof format === "object" && format !== null && "type" in format && format.type !== "text";
}

/** For how long an endpoint that does not take a request is not asked again, in milliseconds. */
const NEGATIVE_TTL_MS = 60_000;

/**
 * How long an error is remembered for its key, in milliseconds; null: not at all. Only what the request itself is to blame for:
 * an endpoint that is busy, broken or slow, or does not know the key, may answer the next time.
 */
export function negativeTtl(error: ModelError, policy: AnswerPolicy): number | null {
  if (policy.mode === "bypass" || policy.mode === "only-if-cached" || policy.ttlMs === 0) return null;
  const isTheRequests = error.code === "model_context_exceeded" || error.code === "model_rejected_request";
  return isTheRequests ? Math.min(NEGATIVE_TTL_MS, policy.ttlMs ?? NEGATIVE_TTL_MS) : null;
}
