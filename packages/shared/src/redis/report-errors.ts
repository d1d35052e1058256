import { type RedisError, toRedisError } from "./redis-error.ts";

/** A Redis that is down fails several times a second; people want to read of it once in a while. */
const QUIET_MS = 10_000;
/** Different messages that are kept apart. */
const MOST_MESSAGES = 100;

/**
 * Makes a listener for errors that passes on each message at most once in ten seconds, and never throws.
 */
export function reportErrors(
  onError: (error: RedisError) => void,
  now: () => number = Date.now,
): (error: unknown) => void {
  const lastReports = new Map<string, number>();
  return (error) => {
    const known = toRedisError(error);
    const last = lastReports.get(known.message);
    if (last !== undefined && now() - last < QUIET_MS) return;
    if (lastReports.size >= MOST_MESSAGES) lastReports.clear();
    lastReports.set(known.message, now());
    onError(known);
  };
}
