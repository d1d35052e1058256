import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import {
  type AnswerCaller,
  type AnswerPolicy,
  type ChatRequest,
  type Completed,
  endpointPolicy,
  type OpenAnswers,
  type ReadableHeaders,
  readText,
} from "@mythic/llm";
import { z } from "zod";
import { readJson } from "../body.ts";
import { type RequestRecord, recordOf } from "../request-record.ts";
import { send } from "../send.ts";
import { cacheHeaders } from "./cache-headers.ts";
import { ChatStream } from "./chat-stream.ts";
import { completionOf, wantsUsage } from "./completion.ts";
import { errorAnswer } from "./errors.ts";
import { EventStream } from "./event-stream.ts";

/** Books are long, and pictures longer. */
export const MOST_BYTES = 16 * 1_048_576;

/** Only what has to be known here; everything else goes through as it is. */
export const chatRequestSchema = z.looseObject({
  model: z.string().min(1),
  messages: z.array(z.unknown()).min(1),
  stream: z.boolean().nullish(),
});

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly user: string;
}

/** `POST /v1/chat/completions`. What goes wrong before the answer has begun rejects. */
export async function completeChat(
  { answers, ttlMs }: OpenAnswers,
  { request, response, user }: Exchange,
): Promise<void> {
  const body: ChatRequest = await readJson(request, chatRequestSchema, MOST_BYTES);
  const policy = endpointPolicy(body, headersOf(request), { mostTtlMs: ttlMs });
  const gone = new AbortController();
  response.once("close", () => {
    if (!response.writableFinished) gone.abort(new Error("The client is gone."));
  });
  const caller: AnswerCaller = { user, scope: `user:${user}`, signal: gone.signal, step: null, waits: true };
  const asking = { caller, read: (answer: Parameters<typeof readText>[1]) => readText(body, answer) };
  bearWithModel(response);
  using waiting = new ModelWait(request);
  if (body["stream"] === true) {
    await stream(
      { request, response, waiting },
      { body, policy, events: answers.stream(body, policy, asking) },
    );
    return;
  }
  const completed = await answers.complete(body, policy, asking);
  waiting.end(completed.source);
  send(request, response, {
    status: 200,
    headers: cacheHeaders(completed, policy),
    json: completionOf(completed),
  });
}

/** Without a copy of them. */
function headersOf({ headers }: IncomingMessage): ReadableHeaders {
  return { get: (name) => headers[name]?.toString() ?? null };
}

/** While a model is at work nobody here is slow. */
class ModelWait implements Disposable {
  readonly #record: RequestRecord;
  readonly #begunAt: number;
  #isOver = false;

  constructor(request: IncomingMessage) {
    this.#record = recordOf(request);
    this.#begunAt = this.#record.ms;
  }

  end(source: Completed["source"] | null): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (source === null || source === "leader" || source === "follower") {
      this.#record.waitedMs += this.#record.ms - this.#begunAt;
    }
  }

  [Symbol.dispose](): void {
    this.end(null);
  }
}

/** Ends a connection that stands still only where it is the client that is to move: before and between its words a model takes its time. */
function bearWithModel(response: ServerResponse): void {
  response.on("timeout", (socket: Socket) => {
    if (response.writableNeedDrain || response.writableEnded) socket.destroy();
  });
}

interface Streaming extends Omit<Exchange, "user"> {
  readonly waiting: ModelWait;
}

interface Streamed {
  readonly body: ChatRequest;
  readonly policy: AnswerPolicy;
  readonly events: ReturnType<OpenAnswers["answers"]["stream"]>;
}

/** Chunks go out as they come. An answer that is there comes as chunks of its own. */
async function stream(
  { request, response, waiting }: Streaming,
  { body, policy, events }: Streamed,
): Promise<void> {
  const out = new ChatStream(new EventStream(request, response), { policy, usage: wantsUsage(body) });
  try {
    for await (const event of events) {
      if (event.type === "chunk") waiting.end(event.source);
      if (event.type === "done") waiting.end(event.completed.source);
      await out.take(event);
    }
    await out.end();
  } catch (error) {
    if (!out.hasBegun) throw error;
    const { code, json } = errorAnswer(error);
    recordOf(request).fields.code = code;
    await out.breakOff(json);
  }
}
