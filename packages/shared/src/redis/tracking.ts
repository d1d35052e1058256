import type { Redis } from "ioredis";
import { type ConnectOptions, listenToErrors } from "./connect-redis.ts";
import { CONNECTION_POLICIES } from "./connection-policies.ts";
import { retryDelay } from "./retry-delay.ts";

/**
 * A connection of the kind `tracking` to where `primary` is connected to, for `CLIENT TRACKING ON REDIRECT`, which needs both ends
 * on one server. Behind Sentinels the two may meet different servers for the length of a fail-over; the redirection is
 * refused then.
 */
export function connectTracking(primary: Redis, options: ConnectOptions = {}): Redis {
  const { connectionName = "mythic:tracking", onError } = options;
  const redis = primary.duplicate({
    ...CONNECTION_POLICIES.tracking,
    connectionName,
    // What a server of a Cluster has differently, as its Cluster looks after it.
    retryStrategy: retryDelay,
    lazyConnect: false,
  });
  listenToErrors(redis, onError);
  return redis;
}
