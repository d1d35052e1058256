/** The response goes on and on. */
export class ResponseTooLargeError extends Error {
  override readonly name = "ResponseTooLargeError";
}

/** Bytes. The longest answers that models can give have a few hundred thousand. */
const MOST_RESPONSE_BYTES = 8_000_000;

/** As fetch, but the body of what comes back fails once it is longer than any answer, instead of filling the memory. */
export async function fetchWithLimit(...request: Parameters<typeof fetch>): Promise<Response> {
  const response = await fetch(...request);
  if (response.body === null) return response;
  let bytes = 0;
  const limit = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
    transform(piece, controller) {
      bytes += piece.length;
      if (bytes > MOST_RESPONSE_BYTES) {
        controller.error(new ResponseTooLargeError(`More than ${MOST_RESPONSE_BYTES} bytes came back.`));
      } else controller.enqueue(piece);
    },
  });
  const { status, statusText, headers } = response;
  return new Response(response.body.pipeThrough(limit), { status, statusText, headers });
}
