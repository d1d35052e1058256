import { Agent, fetch as send } from "undici";

/** The response goes on and on. */
export class ResponseTooLargeError extends Error {
  override readonly name = "ResponseTooLargeError";
}

/** Bytes. The longest answers that models can give have a few hundred thousand. */
const MOST_RESPONSE_BYTES = 8_000_000;
/** A stream has some 300 bytes of framing for each token, and the longest answers 128,000 tokens. */
const MOST_STREAM_BYTES = 64_000_000;

/** The fetch of Node waits five minutes for headers, and a cheap answer may take fifteen. Who sends has patience of its own. */
const agent = new Agent({ headersTimeout: 0, bodyTimeout: 0 });

/**
 * As fetch, but the body of what comes back fails once it is longer than any answer, instead of filling the memory; and a redirect
 * is an answer like any other: what an endpoint is sent goes nowhere else.
 */
export async function fetchWithLimit(
  url: Parameters<typeof fetch>[0],
  init: Parameters<typeof fetch>[1],
): Promise<Response> {
  const given = { ...init, redirect: "manual", dispatcher: agent } as Parameters<typeof send>[1];
  const response = await send(url instanceof Request ? url.url : url, given);
  const { status, statusText } = response;
  const headers = new Headers([...response.headers]);
  if (response.body === null) return new Response(null, { status, statusText, headers });
  const isStream = headers.get("content-type")?.startsWith("text/event-stream") === true;
  const most = isStream ? MOST_STREAM_BYTES : MOST_RESPONSE_BYTES;
  let bytes = 0;
  const limit = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
    transform(piece, controller) {
      bytes += piece.length;
      if (bytes <= most) controller.enqueue(piece);
      else controller.error(new ResponseTooLargeError(`More than ${most} bytes came back.`));
    },
  });
  return new Response(response.body.pipeThrough(limit), { status, statusText, headers });
}
