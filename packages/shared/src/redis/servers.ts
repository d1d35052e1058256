import { Cluster, type Redis } from "ioredis";
import type { RedisConnection } from "./redis-connection.ts";
import { ReplicaReader } from "./replica-reader.ts";

/**
 * The servers that take writes, each holding a part of the keys: all of them are asked by what concerns every key, as SCAN does.
 * Those of a Cluster change; its events `+node` and `-node` tell.
 */
export function primariesOf(connection: RedisConnection): readonly Redis[] {
  return connection instanceof Cluster ? connection.nodes("master") : [connection];
}

/** The servers that commands are sent to. */
export function serversOf(connection: RedisConnection): readonly Redis[] {
  if (connection instanceof Cluster) {
    return connection.nodes(connection.options.scaleReads === "master" ? "master" : "all");
  }
  return connection instanceof ReplicaReader && connection.replica.status === "ready"
    ? [connection, connection.replica]
    : [connection];
}

/** Looks for those that took the place of servers which do not answer. A lone server, or a primary, is looked for by itself. */
export function refreshServers(connection: RedisConnection): void {
  if (connection instanceof Cluster) connection.refreshSlotsCache();
  else if (connection instanceof ReplicaReader) connection.replica.disconnect(true);
}
