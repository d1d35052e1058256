import type { IncomingMessage, ServerResponse } from "node:http";

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
  const body = bodyOf(answer);
  response.statusCode = answer.status;
  if (body) {
    response.setHeader("content-type", body.type);
    response.setHeader("content-length", Buffer.byteLength(body.content));
  }
  for (const [name, value] of Object.entries(answer.headers ?? {})) response.setHeader(name, value);
  if (!request.complete) discardRest(request);
  if (body) response.end(body.content);
  else response.end();
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
