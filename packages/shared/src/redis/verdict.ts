import { types } from "node:util";

/**
 * What an error says of Redis:
 * - `down`: it cannot serve.
 * - `refused`: it is there and will not do this: it is full, read-only, or forbids it.
 * - `answered`: it is there and calls the command wrong.
 * - `foreign`: nothing, the error is the caller's own.
 */
export type Verdict = "down" | "refused" | "answered" | "foreign";

/** First words of replies: https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors */
const DOWN = /^(?:LOADING|BUSY|CLUSTERDOWN|MASTERDOWN|NOAUTH|WRONGPASS)\b/;
const REFUSED = /^(?:OOM|READONLY|MISCONF|NOREPLICAS|NOPERM)\b/;
/** Names of the errors that ioredis raises itself, and of those that it passes on from the system. */
const OF_CLIENT = new Set([
  "Error",
  "AbortError",
  "MaxRetriesPerRequestError",
  "ClusterAllFailedError",
  "RedisError",
]);

export function verdictOf(error: unknown): Verdict {
  if (!types.isNativeError(error)) return "foreign";
  if (error.name === "ReplyError") {
    if (DOWN.test(error.message)) return "down";
    return REFUSED.test(error.message) ? "refused" : "answered";
  }
  // The error of a signal that was aborted has the name of one that ioredis raises for a command.
  if (error.name === "AbortError" && !("command" in error)) return "foreign";
  return OF_CLIENT.has(error.name) ? "down" : "foreign";
}

/** A pipeline does not reject: it resolves with a pair for each command, whose first is an error or null. */
export function swallowedError(reply: unknown): unknown {
  if (!Array.isArray(reply) || !Array.isArray(reply[0])) return null;
  for (const pair of reply) {
    if (Array.isArray(pair) && types.isNativeError(pair[0])) return pair[0];
  }
  return null;
}
