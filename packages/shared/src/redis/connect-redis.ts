import {
  CONNECTION_POLICIES,
  type ConnectionPolicy,
  type RedisConnectionKind,
} from "./connection-policies.ts";
import type { RedisAddress } from "./redis-address.ts";
import { openConnection, type RedisConnection } from "./redis-connection.ts";
import { type RedisError, toRedisError } from "./redis-error.ts";
import { parseRedisAddress } from "./redis-target.ts";
import { reportErrors } from "./report-errors.ts";

export interface ConnectOptions {
  /** Shown by `CLIENT LIST`. `mythic:<kind>` unless told. */
  readonly connectionName?: string;
  /** Told of each kind of error at most once in ten seconds; the connection goes on trying all the same. */
  readonly onError?: (error: RedisError) => void;
}

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
): RedisConnection {
  return connectWith(CONNECTION_POLICIES[kind], address, { connectionName: `mythic:${kind}`, ...options });
}

export function connectWith(
  policy: ConnectionPolicy,
  address: RedisAddress,
  options: ConnectOptions & { readonly connectionName: string },
): RedisConnection {
  const { connectionName, onError } = options;
  const redis = openConnection(parseRedisAddress(address), policy, connectionName);
  listenToErrors(redis, onError);
  return redis;
}

const lastErrors = new WeakMap<RedisConnection, string>();

/** Remembers why the connection is not there, passes errors on, and leaves none unhandled. */
export function listenToErrors(redis: RedisConnection, onError?: (error: RedisError) => void): void {
  const report = onError ? reportErrors(onError) : null;
  const remember = (error: unknown) => {
    lastErrors.set(redis, toRedisError(error).message);
    report?.(error);
  };
  redis.on("error", remember);
  // A server of a Cluster is not the whole of it.
  redis.on("node error", remember);
  redis.on("ready", () => lastErrors.delete(redis));
}

/** Why the connection is not there, or null while it is. */
export function lastRedisError(redis: RedisConnection): string | null {
  return lastErrors.get(redis) ?? null;
}
