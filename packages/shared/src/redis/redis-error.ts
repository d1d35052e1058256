import { types } from "node:util";

/**
 * What went wrong with Redis, in words. ioredis hangs the command with all its arguments on its errors, and those are
 * passwords and keys, so they go no further than this.
 */
export class RedisError extends Error {
  override readonly name: string = "RedisError";
  /** The code of the system's error, such as `ECONNREFUSED`, or null. */
  readonly code: string | null;

  constructor(message: string, code: string | null = null) {
    super(message);
    this.code = code;
  }
}

/** Redis was not asked, as it is known not to answer. */
export class RedisUnavailable extends RedisError {
  override readonly name = "RedisUnavailable";
}

/** Redis was asked and did not answer in time. What was asked may still be done. */
export class RedisTimeout extends RedisError {
  override readonly name = "RedisTimeout";

  constructor(timeoutMs: number) {
    super(`Redis did not answer within ${timeoutMs} ms.`, "ETIMEDOUT");
  }
}

/** What ioredis says with its options in mind, said for people who never saw them. */
const PLAIN_WORDS: readonly (readonly [RegExp, string])[] = [
  [/^Reached the max retries per request limit.*/s, "The connection to Redis was lost."],
  [/^.*enableOfflineQueue options is false$/s, "There is no connection to Redis."],
  // How long it will wait is never twice the same.
  [
    /^All sentinels are unreachable\.(?: Retrying .*?ms\.)?(?: Last error: (.*))?$/,
    "No Sentinel led to a primary. $1",
  ],
];

/** Says in words what an error of a Redis client was. */
export function toRedisError(error: unknown): RedisError {
  if (error instanceof RedisError) return error;
  // Not `instanceof`: tests run in a context whose Error is another than that of the system's errors.
  if (!types.isNativeError(error)) return new RedisError(String(error));
  const code = "code" in error && typeof error.code === "string" ? error.code : null;
  const known = PLAIN_WORDS.find(([pattern]) => pattern.test(error.message));
  const message = known ? error.message.replace(...known).trim() : error.message;
  return new RedisError([message, ...causes(error)].filter(Boolean).join("; ") || error.name, code);
}

/** A host with several addresses, or a Cluster, fails as a whole and says elsewhere why. */
function causes(error: Error): readonly string[] {
  const all: readonly unknown[] = [
    ...("errors" in error && Array.isArray(error.errors) ? error.errors : []),
    ...("lastNodeError" in error ? [error.lastNodeError] : []),
  ];
  return all.map((cause) => (types.isNativeError(cause) ? cause.message : String(cause ?? "")));
}
