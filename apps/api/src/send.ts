import type { IncomingMessage, ServerResponse } from "node:http";
import { recordOf } from "./request-record.ts";

/** What a route answers. */
export interface Answer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
  /** A body that is sent as JSON. */
  readonly json?: unknown;
  /** A body that is sent as it is. */
  readonly raw?: { readonly type: string; readonly content: string | Buffer };
}

/** Headers of every answer that does not say otherwise. Pages have a content policy of their own. */
export const STATIC_HEADERS: Readonly<Record<string, string>> = {
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
  "cross-origin-opener-policy": "same-origin",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cache-control": "no-store",
};

/** How long a body that nobody reads may go on after its answer, so that the client sees the answer before the end. */
const LINGER_MS = 5_000;

/** An answer's body as text, with its type. */
export function bodyOf(answer: Answer): { readonly type: string; readonly content: string | Buffer } | null {
  if (answer.raw) return answer.raw;
  if (answer.json === undefined) return null;
  return { type: "application/json; charset=utf-8", content: JSON.stringify(answer.json) };
}

export function send(request: IncomingMessage, response: ServerResponse, answer: Answer): void {
  if (response.headersSent || response.destroyed) return;
  const record = recordOf(request);
  const body = bodyOf(answer);
  const { headers = NONE } = answer;
  const lines: (string | number)[] = ["x-request-id", record.id, "server-timing", record.timing];
  // A client updates what it has by the headers of "not modified": what it has bears these already.
  if (answer.status !== 304) append(lines, STATIC_HEADERS, headers);
  append(lines, record.headers, headers);
  append(lines, headers, NONE);
  if (body) lines.push("content-type", body.type, "content-length", Buffer.byteLength(body.content));
  if (!request.complete) discardRest(request);
  // All at once: setting them one by one costs several times as much.
  response.writeHead(answer.status, lines);
  response.end(body?.content);
}

const NONE: Readonly<Record<string, string>> = {};

/** Appends headers to a list of names and values, but for those that others replace. */
function append(
  lines: (string | number)[],
  headers: Readonly<Record<string, string>>,
  by: Readonly<Record<string, string>>,
): void {
  for (const name in headers) {
    if (by[name] === undefined) lines.push(name, headers[name] ?? "");
  }
}

/**
 * Closing a connection on which bytes still arrive resets it, and the client would lose the answer; so the rest is read and
 * thrown away, for a while.
 */
function discardRest(request: IncomingMessage): void {
  const timer = setTimeout(() => request.socket.destroy(), LINGER_MS);
  timer.unref();
  request.once("close", () => clearTimeout(timer));
  request.once("end", () => clearTimeout(timer));
  // A client that gives up now has its answer already.
  request.on("error", () => undefined);
  // Not resume(): it does nothing while an iterator that was given up still listens.
  const discard = () => {
    while (request.read() !== null);
  };
  request.on("readable", discard);
  discard();
}
