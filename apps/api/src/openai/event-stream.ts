import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { recordOf } from "../request-record.ts";
import { STATIC_HEADERS } from "../send.ts";

/** Server-sent events, at the pace of the client. */
export class EventStream {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #closed: Promise<void>;

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.#request = request;
    this.#response = response;
    this.#closed = new Promise((resolve) => response.once("close", resolve));
  }

  get hasBegun(): boolean {
    return this.#response.headersSent;
  }

  /** `trailers`: names of headers that come with the end. */
  begin(headers: Readonly<Record<string, string>>, trailers: readonly string[] = []): void {
    if (this.hasBegun) return;
    const { id, headers: more } = recordOf(this.#request);
    // Clients of HTTP/1.0 know none.
    const hasTrailers = trailers.length > 0 && this.#response.useChunkedEncodingByDefault;
    this.#response.writeHead(200, {
      ...STATIC_HEADERS,
      "x-request-id": id,
      ...more,
      ...headers,
      ...(hasTrailers ? { trailer: trailers.join(", ") } : {}),
      "content-type": "text/event-stream; charset=utf-8",
      "x-accel-buffering": "no",
    });
  }

  async write(data: string): Promise<void> {
    if (this.#response.destroyed) return;
    if (this.#response.write(`data: ${data}\n\n`)) return;
    await Promise.race([once(this.#response, "drain"), this.#closed]);
  }

  end(trailers: Readonly<Record<string, string>> = {}): void {
    this.#response.addTrailers(trailers);
    this.#response.end();
  }
}
