import OpenAI from "openai";
import type { ChatRequest } from "./build-request.ts";
import { classifyFailure, type Failure } from "./classify-failure.ts";
import { fetchWithLimit } from "./fetch-with-limit.ts";
import { ModelError } from "./model-error.ts";
import { type Completion, readCompletion } from "./read-completion.ts";

export interface Endpoint {
  readonly apiKey: string;
  readonly baseUrl: string;
  /** For the whole call, its last byte included, in milliseconds; five minutes without it. */
  readonly timeoutMs?: number;
}

export type CallResult = ({ readonly completion: Completion } | Failure) & { readonly latencyMs: number };

/** A long chapter on a slow local model takes minutes; Node's fetch waits no longer for headers. */
const TIMEOUT_MS = 300_000;

/** One request, sent once. Never throws. */
export type Call = (request: ChatRequest, signal: AbortSignal, now: Date) => Promise<CallResult>;

/** The only place that talks to a model. The SDK reads no environment, logs nothing and tries nothing twice here. */
export function createCall({ apiKey, baseUrl, timeoutMs = TIMEOUT_MS }: Endpoint): Call {
  const client = new OpenAI({
    apiKey,
    baseURL: baseUrl,
    adminAPIKey: null,
    organization: null,
    project: null,
    webhookSecret: null,
    maxRetries: 0,
    timeout: timeoutMs,
    logLevel: "off",
    fetch: fetchWithLimit,
  });

  return async (request, signal, now) => {
    const start = performance.now();
    // The SDK's own time-out ends with the headers; a body may stall for ever after them.
    const timeout = AbortSignal.timeout(timeoutMs);
    const done = (result: { completion: Completion } | Failure): CallResult => ({
      ...result,
      latencyMs: Math.round(performance.now() - start),
    });
    try {
      const { model, messages, max_completion_tokens, response_format } = request;
      const { json_schema } = response_format;
      const body: unknown = await client.chat.completions.create(
        {
          model,
          messages: [...messages],
          max_completion_tokens,
          response_format: {
            type: "json_schema",
            json_schema: { ...json_schema, schema: { ...json_schema.schema } },
          },
        },
        { signal: AbortSignal.any([signal, timeout]) },
      );
      const completion = readCompletion(body);
      if (completion !== null) return done({ completion });
      const message = "The endpoint's response is no chat completion.";
      return done({ error: new ModelError("model_invalid_answer", message), mayBePaid: true });
    } catch (thrown) {
      return done(classifyFailure(thrown, { aborted: signal.aborted, timedOut: timeout.aborted, now }));
    }
  };
}
