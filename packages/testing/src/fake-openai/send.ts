import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import type { Composed } from "./compose.ts";
import type { ChatRequest } from "./request.ts";
import type { Rule } from "./rule.ts";

/** Letters of the answer per chunk of a stream. */
const CHUNK = 24;

export interface Delivery {
  readonly request: ChatRequest;
  readonly rule: Rule | null;
  readonly composed: Composed;
  /** `chatcmpl-…` */
  readonly id: string;
  /** Aborted when the client has gone. */
  readonly gone: AbortSignal;
}

/** Sends the answer whole or streamed, up to where the rule says that it breaks off. True when all of it was sent. */
export async function send(response: ServerResponse, delivery: Delivery): Promise<boolean> {
  const { request, rule, gone } = delivery;
  const does = rule?.does;
  if (does?.kind === "garbage") {
    response.setHeader("content-type", does.contentType ?? "text/html").end(does.body);
    return true;
  }
  const pieces = request.stream ? streamPieces(delivery) : [wholeBody(delivery)];
  response.setHeader("content-type", request.stream ? "text/event-stream" : "application/json");
  response.setHeader("x-request-id", delivery.id.replace("chatcmpl-", "req_"));
  if (does?.kind === "trickle")
    await trickle(response, { delivery, body: wholeUpTo(pieces, does.after), everyMs: does.everyMs });
  if (!request.stream) response.setHeader("content-length", Buffer.byteLength(pieces.join("")));
  if (does?.kind === "cut" || does?.kind === "hang") {
    await sendBeginning(response, pieces.join(""), typeof does.after === "number" ? does.after : 0);
    if (does.kind === "hang") await forever(gone);
    await cut(response);
    return false;
  }
  for (const piece of pieces) {
    response.write(piece);
    if (rule?.chunkMs !== undefined) await pause(rule.chunkMs, undefined, { signal: gone });
  }
  response.end();
  return true;
}

/** Sends something that is no answer, until the client has gone. */
async function trickle(response: ServerResponse, { delivery, body, everyMs }: Trickle): Promise<never> {
  await sendBeginning(response, body, Buffer.byteLength(body));
  for (;;) {
    response.write(delivery.request.stream ? ": still at work\n\n" : " ");
    await pause(everyMs, undefined, { signal: delivery.gone });
  }
}

/** So many events of a stream as fit; of a body that comes whole its beginning. */
function wholeUpTo(pieces: readonly string[], bytes: number): string {
  if (pieces.length === 1) return pieces.join("").slice(0, bytes);
  let body = "";
  for (const piece of pieces) {
    if (Buffer.byteLength(body + piece) > bytes) break;
    body += piece;
  }
  return body;
}

interface Trickle {
  readonly delivery: Delivery;
  readonly body: string;
  readonly everyMs: number;
}

async function sendBeginning(response: ServerResponse, body: string, bytes: number): Promise<void> {
  response.flushHeaders();
  if (bytes > 0) await new Promise((done) => response.write(Buffer.from(body).subarray(0, bytes), done));
}

async function forever(gone: AbortSignal): Promise<never> {
  if (!gone.aborted) await once(gone, "abort");
  throw new Error("The client has gone.");
}

/** A plain end of the connection, not a reset, so that what was sent is not thrown away on its way. */
async function cut({ socket }: ServerResponse): Promise<void> {
  if (socket !== null) await new Promise<void>((done) => socket.end(done));
  socket?.destroy();
}

function wholeBody({ request, rule, composed, id }: Delivery): string {
  const { content, refusal, finishReason, model, usage } = composed;
  return JSON.stringify({
    id,
    object: "chat.completion",
    created: Math.floor(Date.now() / 1000),
    model,
    choices: [
      {
        index: 0,
        message: { role: "assistant", content, refusal },
        logprobs: null,
        finish_reason: finishReason,
      },
    ],
    ...(rule?.withoutUsage === true ? {} : { usage }),
    ...(request.body["service_tier"] === undefined ? {} : { service_tier: request.body["service_tier"] }),
  });
}

function streamPieces({ request, composed, id }: Delivery): string[] {
  const { content, refusal, finishReason, model, usage } = composed;
  const created = Math.floor(Date.now() / 1000);
  const event = (choices: readonly unknown[], rest: object = {}) =>
    `data: ${JSON.stringify({ id, object: "chat.completion.chunk", created, model, choices, ...rest })}\n\n`;
  const delta = (part: object, reason: string | null = null) =>
    event([{ index: 0, delta: part, finish_reason: reason }], request.includeUsage ? { usage: null } : {});
  const words = content ?? refusal ?? "";
  const field = refusal === null ? "content" : "refusal";
  const chunks = Array.from({ length: Math.ceil(words.length / CHUNK) }, (_, index) =>
    delta({ [field]: words.slice(index * CHUNK, (index + 1) * CHUNK) }),
  );
  return [
    delta({ role: "assistant", [field]: "" }),
    ...chunks,
    delta({}, finishReason),
    ...(request.includeUsage ? [event([], { usage })] : []),
    "data: [DONE]\n\n",
  ];
}
