import { Readable } from "node:stream";
import { Agent, type Dispatcher, request } from "undici";

/** The response goes on and on. */
export class ResponseTooLargeError extends Error {
  override name = "ResponseTooLargeError";
}

/** A response that is not streamed is held whole by the SDK; the largest models answer with some 0.5 MB. */
const MOST_RESPONSE_BYTES = 16_000_000;
/** A stream brings some 300 bytes with each word. */
const MOST_STREAM_BYTES = 64_000_000;

/** Without time-outs of its own: Patience knows when a call has taken too long, and Node's five minutes are fewer than flex may need. */
const agent = new Agent({ headersTimeout: 0, bodyTimeout: 0 });

/**
 * As fetch for what the SDK sends, at half of fetch's cost; but the body of what comes back fails once it is longer than any answer,
 * instead of filling the memory, and a redirect is an answer like any other: what an endpoint is sent goes nowhere else.
 *
 * @throws TypeError with the cause, when there is no response
 */
export async function fetchWithLimit(
  url: Parameters<typeof fetch>[0],
  init: Parameters<typeof fetch>[1] = {},
): Promise<Response> {
  const { statusCode: status, headers, body } = await send(url instanceof Request ? url.url : url, init);
  const given = headersOf(headers);
  if (given.get("content-type")?.startsWith("text/event-stream") === true) {
    const stream = Readable.toWeb(Readable.from(limited(body, MOST_STREAM_BYTES)));
    return new Response(stream as ReadableStream<Uint8Array>, { status, headers: given });
  }
  return new Response(await read(body, MOST_RESPONSE_BYTES), { status, headers: given });
}

async function send(
  url: string | URL,
  { method = "GET", headers, body, signal }: RequestInit,
): Promise<Dispatcher.ResponseData> {
  try {
    return await request(url, {
      method: method as Dispatcher.HttpMethod,
      // Answers are short, and unpacking them is work.
      headers: { ...Object.fromEntries(headersIn(headers)), "accept-encoding": "identity" },
      body: typeof body === "string" ? body : null,
      signal: signal ?? null,
      dispatcher: agent,
    });
  } catch (cause) {
    throw new TypeError("No response came.", { cause });
  }
}

/** The SDK's own, without a copy. */
function headersIn(headers: RequestInit["headers"]): Headers {
  return headers instanceof Headers ? headers : new Headers(headers);
}

function headersOf(headers: Dispatcher.ResponseData["headers"]): Headers {
  const all = new Headers();
  for (const [name, value] of Object.entries(headers)) {
    for (const one of [value].flat()) if (one !== undefined) all.append(name, one);
  }
  return all;
}

async function read(body: AsyncIterable<Buffer>, most: number): Promise<Buffer<ArrayBuffer> | null> {
  const pieces: Buffer[] = [];
  for await (const piece of limited(body, most)) pieces.push(piece);
  // A response that may have no body must have none.
  return pieces.length === 0 ? null : Buffer.concat(pieces);
}

async function* limited(body: AsyncIterable<Buffer>, most: number): AsyncGenerator<Buffer, void, void> {
  let bytes = 0;
  for await (const piece of body) {
    bytes += piece.length;
    if (bytes > most) throw new ResponseTooLargeError(`More than ${most} bytes came back.`);
    yield piece;
  }
}
