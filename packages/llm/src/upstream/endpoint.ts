import OpenAI from "openai";
import type { ModelError } from "../model-error.ts";
import type { ChatRequest } from "../request/chat-request.ts";
import { StreamAssembly } from "./assemble-stream.ts";
import {
  brokenStream,
  classifyFailure,
  type Failure,
  noCompletion,
  stoppedCall,
} from "./classify-failure.ts";
import { fetchStream, fetchWhole } from "./fetch-with-limit.ts";
import { Patience } from "./patience.ts";
import { NO_RATE_HEADERS, type RateHeaders, readRateHeaders } from "./rate-headers.ts";
import { type Completion, readCompletion } from "./read-completion.ts";

export interface CallOptions {
  readonly signal: AbortSignal;
  /** Asks for a stream and is given each chunk as it comes, a `chat.completion.chunk`. Must not throw. */
  readonly onChunk?: ((chunk: unknown) => void) | undefined;
  /** For the whole call, its last byte included, in milliseconds. Five minutes unless told. */
  readonly timeoutMs?: number | undefined;
  /** Between two chunks of an answer that has begun, in milliseconds. One minute unless told. */
  readonly idleMs?: number | undefined;
}

interface Outcome {
  /** Rounded. */
  readonly latencyMs: number;
  /** What the endpoint said of its limits. */
  readonly limits: RateHeaders;
}

/** What came of one attempt. */
export type UpstreamResult = Outcome &
  (
    | { readonly kind: "answered"; readonly completion: Completion }
    | {
        readonly kind: "failed";
        readonly error: ModelError;
        /** The endpoint may have worked on the request and may charge for it. */
        readonly mayBePaid: boolean;
        /** Of the response; null: there was none, or none to its end. */
        readonly status: number | null;
        /** As the endpoint asked, however long; null: it did not say. */
        readonly retryAfterMs: number | null;
      }
  );

/** Where models are asked. */
export interface Endpoint {
  /** One request, sent once. Never rejects. */
  complete(request: ChatRequest, options: CallOptions): Promise<UpstreamResult>;
}

export interface EndpointOptions {
  readonly apiKey: string;
  readonly baseUrl: string;
  readonly now?: (() => Date) | undefined;
}

/** A long chapter on a slow local model takes minutes; Node's fetch waits no longer for headers. */
const TIMEOUT_MS = 300_000;
/** Slow models pause for seconds between two words, and servers that died behind a proxy for ever. */
const IDLE_MS = 60_000;

/** What a response without its headers would have said. */
interface Reply {
  readonly completion: Completion | Failure;
  readonly headers: Headers;
}

/** The only place that talks to a model. The SDK reads no environment, logs nothing and tries nothing twice here. */
export function openEndpoint({ apiKey, baseUrl, now = () => new Date() }: EndpointOptions): Endpoint {
  const client = new OpenAI({
    apiKey,
    baseURL: baseUrl,
    adminAPIKey: null,
    organization: null,
    project: null,
    webhookSecret: null,
    maxRetries: 0,
    // Answers are short, and unpacking them is work.
    defaultHeaders: { "accept-encoding": "identity" },
    // Patience ends calls: the SDK's own time-out ends with the headers, and a body may stall for ever after them.
    timeout: LONGEST_TIMEOUT_MS,
    logLevel: "off",
    fetch: fetchWhole,
  });
  const streaming = client.withOptions({ fetch: fetchStream });
  return {
    complete: (request, options) => {
      const isStreamed = options.onChunk !== undefined;
      return complete(isStreamed ? streaming : client, now, { request, options });
    },
  };
}

/** As long as a timer can be. */
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;

interface Attempt {
  readonly request: ChatRequest;
  readonly options: CallOptions;
}

async function complete(client: OpenAI, now: () => Date, attempt: Attempt): Promise<UpstreamResult> {
  const { signal, timeoutMs = TIMEOUT_MS, idleMs = IDLE_MS } = attempt.options;
  const start = performance.now();
  if (signal.aborted) return conclude(stoppedCall(signal.reason, false), NO_RATE_HEADERS, start);
  using patience = new Patience(signal, { timeoutMs, idleMs });
  try {
    const send = attempt.options.onChunk === undefined ? sendPlain : sendStreamed;
    const { completion, headers } = await send(client, attempt, patience);
    return conclude(completion, readRateHeaders(headers), start);
  } catch (thrown) {
    const failure = classifyFailure(thrown, { endedBy: patience.endedBy, now: now() });
    const headers = thrown instanceof OpenAI.APIError ? thrown.headers : undefined;
    return conclude(failure, headers === undefined ? NO_RATE_HEADERS : readRateHeaders(headers), start);
  }
}

function conclude(outcome: Completion | Failure, limits: RateHeaders, start: number): UpstreamResult {
  const latencyMs = Math.round(performance.now() - start);
  if (!("error" in outcome)) return { kind: "answered", completion: outcome, latencyMs, limits };
  const { error, mayBePaid, status } = outcome;
  return { kind: "failed", error, mayBePaid, status, retryAfterMs: error.retryAfterMs, latencyMs, limits };
}

async function sendPlain(client: OpenAI, { request }: Attempt, patience: Patience): Promise<Reply> {
  const { stream: _, stream_options: __, ...body } = request;
  const { data, response } = await client.chat.completions
    .create(body as unknown as OpenAI.ChatCompletionCreateParamsNonStreaming, { signal: patience.signal })
    .withResponse();
  const completion = readCompletion(data) ?? noCompletion("The endpoint's response is no chat completion.");
  return { completion, headers: response.headers };
}

async function sendStreamed(client: OpenAI, attempt: Attempt, patience: Patience): Promise<Reply> {
  const { request, options } = attempt;
  const body = { ...request, stream: true, stream_options: { include_usage: true } };
  const { data, response } = await client.chat.completions
    .create(body as unknown as OpenAI.ChatCompletionCreateParamsStreaming, { signal: patience.signal })
    .withResponse();
  const assembly = new StreamAssembly(typeof request["n"] === "number" ? request["n"] : 1);
  let chunks = 0;
  try {
    for await (const chunk of data) {
      if (!assembly.add(chunk)) break;
      chunks += 1;
      patience.progressed(assembly.isWhole);
      options.onChunk?.(chunk);
    }
  } catch (error) {
    // What is whole is paid for and of use, whatever became of the connection after it.
    if (!assembly.isWhole) throw error;
  }
  if (assembly.isWhole) {
    const completion = readCompletion(assembly.completion());
    if (completion !== null) return { completion, headers: response.headers };
  }
  // The SDK ends a stream without an error when it was stopped.
  if (patience.endedBy !== null) throw new Error("The stream was stopped.");
  const failure =
    chunks === 0 ? noCompletion("The endpoint's response is no stream of chunks.") : brokenStream();
  return { completion: failure, headers: response.headers };
}
