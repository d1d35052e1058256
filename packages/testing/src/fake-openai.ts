import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import { CallLog, type CallOutcome, type RecordedCall } from "./fake-openai/call-log.ts";
import { type Composed, compose } from "./fake-openai/compose.ts";
import { type RateLimits, RateWindow } from "./fake-openai/rate-limits.ts";
import { type ChatRequest, readChatRequest } from "./fake-openai/request.ts";
import { type Rule, RuleBook, type ScriptedRule } from "./fake-openai/rule.ts";
import { send } from "./fake-openai/send.ts";

export type { ChatRequest, RateLimits, RecordedCall, Rule, ScriptedRule };

export interface FakeOpenAiOptions {
  /** A free one without it. */
  readonly port?: number;
  /** Before each answer, in milliseconds, unless a rule says otherwise. 0 without it. */
  readonly latencyMs?: number;
  /** Other keys are refused with 401. Any key is taken without it. */
  readonly apiKey?: string;
  /** What `GET /v1/models` lists. */
  readonly models?: readonly string[];
  /** What is more gets 429 with `retry-after`; `x-ratelimit-*` tells what is left. Nothing is limited without them. */
  readonly limits?: RateLimits;
}

/** An endpoint that speaks OpenAI's protocol over real HTTP and answers at once, for nothing, and always the same. */
export interface FakeOpenAi extends AsyncDisposable {
  /** Ends in `/v1`, as the SDK wants it. */
  readonly baseUrl: string;
  /** Chat completions in the order they came. */
  calls(): readonly RecordedCall[];
  /** How often each content was asked: by the digest of its messages and schema name. */
  callsByContent(): Map<string, number>;
  /** The most calls that were on their way at once. */
  readonly mostAtOnce: number;
  script(rule: Rule): ScriptedRule;
  /** From now on; null lifts them. */
  limit(limits: RateLimits | null): void;
  close(): Promise<void>;
}

/** A request and what will be answered. */
interface Arrived {
  readonly request: ChatRequest;
  readonly rule: Rule | null;
  readonly composed: Composed;
  readonly arrivedAt: number;
}

export async function startFakeOpenAi(options: FakeOpenAiOptions = {}): Promise<FakeOpenAi> {
  const rules = new RuleBook();
  const log = new CallLog();
  let window = options.limits === undefined ? null : new RateWindow(options.limits);

  async function complete(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const text = await readText(incoming);
    const arrivedAt = performance.now();
    const request = readChatRequest(JSON.parse(text));
    if (request === null) {
      return sendError(response, { status: 400, message: "A model and messages are needed." });
    }
    const rule = rules.take(request);
    const composed = compose(request, rule);
    const tokens = composed.usage.total_tokens;
    const end = log.open({ request, headers: incoming.headers, arrivedAt, tokens });
    if (window !== null && !isWithin(window, { tokens, arrivedAt }, response)) {
      return end("limited");
    }
    const gone = whenGone(response);
    try {
      end(await reply({ request, rule, composed, arrivedAt }, response, gone));
    } catch (error) {
      end(gone.aborted ? "aborted" : "failed");
      if (!gone.aborted) throw error;
    }
  }

  async function reply(
    { request, rule, composed, arrivedAt }: Arrived,
    response: ServerResponse,
    gone: AbortSignal,
  ): Promise<CallOutcome> {
    const does = rule?.does;
    const latencyMs = rule?.latencyMs ?? options.latencyMs ?? 0;
    // Composed before, so that the answer leaves when it should and not some milliseconds of work later.
    const waitMs = latencyMs - (performance.now() - arrivedAt);
    if (waitMs > 0) await pause(waitMs, undefined, { signal: gone });
    if (does?.kind === "hang" && does.after === undefined) await once(gone, "abort");
    if (gone.aborted) return "aborted";
    if (does?.kind === "status") {
      sendError(response, does);
      return "failed";
    }
    if (does?.kind === "cut" && does.after === "nothing") {
      response.socket?.destroy();
      return "cut";
    }
    const id = `chatcmpl-${request.digest.slice(0, 24)}`;
    const sent = await send(response, { request, rule, composed, id, gone });
    return sent ? "answered" : "cut";
  }

  async function route(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(incoming.url ?? "/", "http://localhost");
    if (pathname === "/fake/calls") {
      const byContent = Object.fromEntries(log.byContent());
      sendJson(response, 200, { calls: log.calls.length, mostAtOnce: log.mostAtOnce, byContent });
    } else if (
      options.apiKey !== undefined &&
      incoming.headers.authorization !== `Bearer ${options.apiKey}`
    ) {
      sendError(response, { status: 401, message: "Incorrect API key provided.", code: "invalid_api_key" });
    } else if (incoming.method === "POST" && pathname === "/v1/chat/completions") {
      await complete(incoming, response);
    } else if (incoming.method === "GET" && pathname === "/v1/models") {
      sendJson(response, 200, { object: "list", data: listModels(options.models) });
    } else {
      sendError(response, { status: 404, message: `Unknown request URL: ${incoming.method} ${pathname}` });
    }
  }

  const server = createServer((incoming, response) => {
    route(incoming, response).catch((error: unknown) => {
      if (response.headersSent) response.destroy();
      else
        sendError(response, { status: 400, message: error instanceof Error ? error.message : String(error) });
    });
  });
  server.listen(options.port ?? 0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The system gave no port.");

  async function close(): Promise<void> {
    if (!server.listening) return;
    const closed = once(server, "close");
    server.close();
    server.closeAllConnections();
    await closed;
  }

  return {
    baseUrl: `http://127.0.0.1:${address.port}/v1`,
    calls: () => log.calls,
    callsByContent: () => log.byContent(),
    get mostAtOnce() {
      return log.mostAtOnce;
    },
    script: (rule) => rules.add(rule),
    limit(limits) {
      window = limits === null ? null : new RateWindow(limits);
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Says what is left of the limits, and answers where that is not enough. */
function isWithin(
  window: RateWindow,
  { tokens, arrivedAt }: { readonly tokens: number; readonly arrivedAt: number },
  response: ServerResponse,
): boolean {
  const { retryAfterMs, headers } = window.admit(tokens, arrivedAt);
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  if (retryAfterMs === null) return true;
  sendError(response, { status: 429, message: "Rate limit reached.", code: "rate_limit_exceeded" });
  return false;
}

function listModels(models: readonly string[] = ["fake-model"]): object[] {
  return models.map((id) => ({ id, object: "model", created: 0, owned_by: "fake" }));
}

function whenGone(response: ServerResponse): AbortSignal {
  const controller = new AbortController();
  response.once("close", () => {
    if (!response.writableFinished) controller.abort();
  });
  return controller.signal;
}

async function readText(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

interface ErrorReply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly code?: string;
  readonly message?: string;
}

function sendError(response: ServerResponse, { status, headers = {}, code, message }: ErrorReply): void {
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  const type =
    status === 429 ? "rate_limit_exceeded" : status >= 500 ? "server_error" : "invalid_request_error";
  sendJson(response, status, {
    error: { message: message ?? `Scripted status ${status}.`, type, param: null, code: code ?? null },
  });
}
