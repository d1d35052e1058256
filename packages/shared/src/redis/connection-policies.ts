import type { RedisOptions } from "ioredis";

/**
 * What a connection is for:
 * - `cache`: an answer that takes longer than the source is worth nothing. Fails within 200 ms, and what was on its way when the
 *   connection was lost is not sent again, as its caller has been told that it failed.
 * - `queue-producer`: hands in work while someone waits. Fails within a second and never waits for a connection.
 * - `queue-consumer`: waits for work with blocking reads. Never gives up, through any outage.
 * - `tracking`: listens to the pushes of `CLIENT TRACKING`, which RESP2 delivers as messages of a channel.
 */
export type RedisConnectionKind = "cache" | "queue-producer" | "queue-consumer" | "tracking";

/** What is different from kind to kind. */
export type ConnectionPolicy = Pick<
  RedisOptions,
  | "commandTimeout"
  | "connectTimeout"
  | "enableOfflineQueue"
  | "maxRetriesPerRequest"
  | "protocol"
  | "socketTimeout"
>;

const FAST = { enableOfflineQueue: false, connectTimeout: 2_000, socketTimeout: 5_000 } as const;

export const CONNECTION_POLICIES: { readonly [Kind in RedisConnectionKind]: ConnectionPolicy } = {
  cache: { ...FAST, commandTimeout: 200, maxRetriesPerRequest: 0 },
  "queue-producer": { ...FAST, commandTimeout: 800, maxRetriesPerRequest: 1 },
  // A blocking read of BullMQ takes up to 10 s without a byte, so a socket is dead only after more than that. Without
  // this time-out a peer that vanished without a word would be waited for for ever.
  "queue-consumer": { maxRetriesPerRequest: null, connectTimeout: 5_000, socketTimeout: 15_000 },
  tracking: { ...FAST, commandTimeout: 800, maxRetriesPerRequest: 0, protocol: 2 },
};
