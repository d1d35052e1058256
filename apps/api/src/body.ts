import type { IncomingMessage } from "node:http";
import type { z } from "zod";
import { ClientGone, type ErrorCode, Problem } from "./errors.ts";
import { fieldErrors } from "./field-errors.ts";

/** Bytes of a JSON body, unless a route says otherwise. The largest that makes sense is far below. */
const MOST_JSON_BYTES = 64 * 1024;

export interface Patience {
  /** Longest time without a byte from the client, in milliseconds. */
  readonly idleMs: number;
  /** What a client that is slower is told. */
  readonly code: Extract<ErrorCode, "request_timeout" | "upload_timeout">;
}

const JSON_PATIENCE: Patience = { idleMs: 10_000, code: "request_timeout" };

/**
 * A request's body, piece by piece. Whoever stops early leaves the connection as it is, so that it can still be answered.
 *
 * @throws Problem when nothing arrives for too long, ClientGone when the connection is lost
 */
export async function* readBody(request: IncomingMessage, patience: Patience): AsyncGenerator<Buffer> {
  const pieces = request.iterator({ destroyOnReturn: false });
  for (;;) {
    const { done, value } = await nextPiece(pieces, patience);
    if (done) return;
    yield value;
  }
}

async function nextPiece(
  pieces: AsyncIterator<Buffer>,
  { idleMs, code }: Patience,
): Promise<IteratorResult<Buffer>> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const seconds = idleMs / 1_000;
    reject(new Problem(code, `Nothing arrived for ${seconds} s.`, { headers: { connection: "close" } }));
  }, idleMs);
  const next = pieces.next().catch((cause: unknown) => {
    throw new ClientGone("The connection was lost.", { cause });
  });
  try {
    return await Promise.race([next, late]);
  } finally {
    clearTimeout(timer);
    // It may be lost later, when nobody waits any more.
    next.catch(() => undefined);
  }
}

/** The type of a body without its parameters, in lower case. */
export function mediaType(request: IncomingMessage): string {
  return (request.headers["content-type"] ?? "").split(";")[0]?.trim().toLowerCase() ?? "";
}

/**
 * Reads a JSON body and checks its shape.
 *
 * @throws Problem naming each field that is wrong
 */
export async function readJson<Schema extends z.ZodType>(
  request: IncomingMessage,
  schema: Schema,
  mostBytes = MOST_JSON_BYTES,
): Promise<z.infer<Schema>> {
  if (mediaType(request) !== "application/json") {
    throw new Problem("unsupported_media_type", "Send Content-Type: application/json.");
  }
  requireNoEncoding(request);
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of readBody(request, JSON_PATIENCE)) {
    bytes += piece.length;
    if (bytes > mostBytes) throw new Problem("too_large", `A JSON body has ${mostBytes} bytes at most.`);
    pieces.push(piece);
  }
  return checkShape(parseJson(Buffer.concat(pieces)), schema);
}

export function requireNoEncoding(request: IncomingMessage): void {
  const encoding = request.headers["content-encoding"] ?? "identity";
  if (encoding.toLowerCase() === "identity") return;
  throw new Problem("unsupported_media_type", "Send the body as it is, without a Content-Encoding.");
}

/** @throws Problem naming each field that is wrong */
export function checkShape<Schema extends z.ZodType>(value: unknown, schema: Schema): z.infer<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new Problem("invalid_request", "The body does not have the right shape.", {
    errors: fieldErrors(parsed.error, "body"),
  });
}

const UTF_8 = new TextDecoder("utf-8", { fatal: true });

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(UTF_8.decode(bytes));
  } catch (cause) {
    throw malformed(cause);
  }
}

/** The parser's own words quote the body, so they go no further than the log. */
function malformed(cause: unknown): Problem {
  return new Problem("malformed_json", "The body is not JSON in UTF-8.", { cause });
}
