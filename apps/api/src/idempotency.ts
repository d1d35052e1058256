import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Reply, Store } from "@mythic/runs";
import type { Logger } from "pino";
import { errorEntry, Problem } from "./errors.ts";
import { problemAnswer, toProblem } from "./report-error.ts";
import { type Answer, bodyOf } from "./send.ts";

const MOST_KEY_LENGTH = 255;
/** Headers that are answered again with the body. */
const KEPT_HEADERS = ["location", "retry-after", "etag", "www-authenticate"];

/**
 * The key of a request, or null. Quoted as the draft has it (`"abc"`) or bare as most send it.
 * https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
 *
 * @throws Problem when it can be none
 */
export function idempotencyKeyOf(request: IncomingMessage): string | null {
  const header = request.headers["idempotency-key"];
  if (header === undefined) return null;
  const text = String(header).trim();
  const [, quoted] = /^"((?:[^"\\]|\\["\\])*)"$/.exec(text) ?? [];
  const key = quoted?.replace(/\\(["\\])/g, "$1") ?? text;
  if (key.length > 0 && key.length <= MOST_KEY_LENGTH && /^[\x20-\x7e]+$/.test(key)) return key;
  const detail = `An Idempotency-Key has 1 to ${MOST_KEY_LENGTH} printable ASCII characters.`;
  throw new Problem("invalid_idempotency_key", detail);
}

/** What makes two requests the same one. */
export function fingerprintOf(content: unknown): string {
  return createHash("sha256").update(JSON.stringify(content)).digest("hex");
}

/** 60 bits: told apart are the few requests of one user about one book in a day. */
const MARK_BITS = 60n;
/** What ids are written in. */
const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";

/**
 * Twelve characters that the ids of things made for a request end with. The request made again with its key has the same ones, so
 * it finds what was made although the answer was lost: with its process, or with the store in the middle of the work.
 */
export function markOf({
  route,
  key,
  fingerprint,
}: Pick<OnceOptions, "route" | "key" | "fingerprint">): string {
  const hash = createHash("sha256")
    .update(JSON.stringify([route, key, fingerprint]))
    .digest("hex");
  let mark = "";
  for (let bits = BigInt(`0x${hash}`) % 2n ** MARK_BITS; mark.length < 12; bits >>= 5n) {
    mark = ALPHABET.charAt(Number(bits & 31n)) + mark;
  }
  return mark;
}

export interface OnceOptions {
  readonly replies: Store["replies"];
  readonly logger: Logger;
  readonly user: string;
  /** Method and path: the same key on another route is another key. */
  readonly route: string;
  readonly key: string;
  readonly fingerprint: string;
  readonly requestId: string;
}

/**
 * Does what a request asks for once, however often it comes with the same key: later ones get the first answer. Answers that may
 * be another one later (5xx, 429, and what says "not yet") are not kept.
 */
export async function answerOnce(options: OnceOptions, act: () => Promise<Answer>): Promise<Answer> {
  const { replies, user, fingerprint, requestId } = options;
  const name = `${options.route} ${options.key}`;
  const first = await replies.begin(user, name, fingerprint);
  if (first) return replay(first, fingerprint);
  try {
    const answer = await act();
    await quietly(options, () => replies.finish(user, name, replyOf(answer)));
    return answer;
  } catch (error) {
    const problem = toProblem(error);
    await quietly(options, () =>
      errorEntry(problem.code).passing
        ? replies.abandon(user, name)
        : replies.finish(user, name, replyOf(problemAnswer(problem, requestId))),
    );
    throw error;
  }
}

function replay(reply: Reply, fingerprint: string): Answer {
  if (reply.fingerprint !== fingerprint) {
    const detail = "This Idempotency-Key came with another body before. Use a new key for a new request.";
    throw new Problem("idempotency_mismatch", detail);
  }
  if (reply.status === null) {
    throw new Problem("idempotency_in_progress", "Ask again in a moment.", {
      headers: { "retry-after": "1" },
    });
  }
  const { "content-type": type = "application/json", ...headers } = reply.headers;
  return {
    status: reply.status,
    headers: { ...headers, "idempotent-replayed": "true" },
    raw: { type, content: reply.body },
  };
}

function replyOf(answer: Answer): Pick<Reply, "status" | "headers" | "body"> {
  const body = bodyOf(answer);
  const kept = Object.entries(answer.headers ?? {}).filter(([name]) => KEPT_HEADERS.includes(name));
  return {
    status: answer.status,
    headers: { ...Object.fromEntries(kept), ...(body ? { "content-type": body.type } : {}) },
    body: String(body?.content ?? ""),
  };
}

/** What was asked has happened; that its answer could not be kept is no reason to tell the client otherwise. */
async function quietly({ logger, requestId }: OnceOptions, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    logger.warn({ err: error, req_id: requestId }, "the answer to an Idempotency-Key could not be kept");
  }
}
