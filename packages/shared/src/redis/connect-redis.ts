import { Redis, type RedisOptions } from "ioredis";
import { assertRedisAddress, type RedisAddress } from "./redis-address.ts";
import { type RedisError, toRedisError } from "./redis-error.ts";
import { reportErrors } from "./report-errors.ts";

/**
 * What a connection is for:
 * - `cache`: an answer that takes longer than the source is worth nothing. Fails within 200 ms.
 * - `queue-producer`: hands in work while someone waits. Fails within a second and never waits for a connection.
 * - `queue-consumer`: waits for work with blocking reads. Never gives up, through any outage.
 */
export type RedisConnectionKind = "cache" | "queue-producer" | "queue-consumer";

export interface ConnectOptions {
  /** Shown by `CLIENT LIST`. `mythic:<kind>` unless told. */
  readonly connectionName?: string;
  /** Told of each kind of error at most once in ten seconds; the connection goes on trying all the same. */
  readonly onError?: (error: RedisError) => void;
}

const FAST = { enableOfflineQueue: false, maxRetriesPerRequest: 1, connectTimeout: 2_000 } as const;

const POLICIES = {
  cache: { ...FAST, commandTimeout: 200, socketTimeout: 5_000 },
  "queue-producer": { ...FAST, commandTimeout: 800, socketTimeout: 5_000 },
  // A blocking read of BullMQ takes up to 10 s without a byte, so a socket is dead only after more than that. Without
  // this time-out a peer that vanished without a word would be waited for for ever.
  "queue-consumer": { maxRetriesPerRequest: null, connectTimeout: 5_000, socketTimeout: 15_000 },
} as const satisfies { readonly [Kind in RedisConnectionKind]: RedisOptions };

/** A network that loses idle connections is noticed within this time. */
const KEEP_ALIVE_MS = 10_000;
const MOST_RETRY_MS = 2_000;

const lastErrors = new WeakMap<Redis, string>();

/**
 * Connects to Redis, and again whenever the connection is lost. Returns at once; an error of the connection is never
 * unhandled.
 *
 * @throws TypeError when the address is not that of a Redis
 */
export function connectRedis(
  address: RedisAddress,
  kind: RedisConnectionKind,
  options: ConnectOptions = {},
): Redis {
  assertRedisAddress(address);
  const { connectionName = `mythic:${kind}`, onError } = options;
  const redis = new Redis(address, {
    ...POLICIES[kind],
    connectionName,
    keepAlive: KEEP_ALIVE_MS,
    retryStrategy,
    // A primary that became a replica refuses writes; the next connection finds the new one.
    reconnectOnError: (error) => (error.message.startsWith("READONLY") ? 2 : false),
  });
  const report = onError ? reportErrors(onError) : null;
  redis.on("error", (error: unknown) => {
    lastErrors.set(redis, toRedisError(error).message);
    report?.(error);
  });
  redis.on("ready", () => lastErrors.delete(redis));
  return redis;
}

/** 50 ms, doubling up to 2 s, with jitter so that many processes do not come back at the same moment. */
function retryStrategy(attempt: number): number {
  const ceiling = Math.min(MOST_RETRY_MS, 50 * 2 ** Math.min(attempt, 10));
  return Math.round(ceiling * (0.5 + Math.random() / 2));
}

/** Why the connection is not there, or null while it is. */
export function lastRedisError(redis: Redis): string | null {
  return lastErrors.get(redis) ?? null;
}

/** Waits until commands can be sent, for so long at most, and answers whether they can. */
export async function waitForRedis(redis: Redis, withinMs: number): Promise<boolean> {
  if (redis.status === "ready") return true;
  if (redis.status === "end") return false;
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const isReady = () => resolve(true);
  const isNot = () => resolve(false);
  const timer = setTimeout(isNot, withinMs);
  redis.once("ready", isReady).once("end", isNot);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    redis.off("ready", isReady).off("end", isNot);
  }
}
