/**
 * What went wrong with Redis, in words. ioredis hangs the command with all its arguments on its errors, and those are
 * passwords and keys, so they go no further than this.
 */
export class RedisError extends Error {
  override readonly name = "RedisError";
  /** The code of the system's error, such as `ECONNREFUSED`, or null. */
  readonly code: string | null;

  constructor(message: string, code: string | null = null) {
    super(message);
    this.code = code;
  }
}

/** Says in words what an error of a Redis client was. */
export function toRedisError(error: unknown): RedisError {
  if (error instanceof RedisError) return error;
  if (!(error instanceof Error)) return new RedisError(String(error));
  const code = "code" in error && typeof error.code === "string" ? error.code : null;
  // A host with several addresses fails with an AggregateError, which has no message of its own.
  const reasons: unknown[] = error instanceof AggregateError ? error.errors : [];
  const words = reasons.map((reason) => (reason instanceof Error ? reason.message : String(reason)));
  return new RedisError(error.message || words.join("; ") || error.name, code);
}
