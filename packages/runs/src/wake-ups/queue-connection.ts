import type { connectRedis } from "@mythic/shared/redis";

/** A connection to the Redis of the queue. */
export type QueueConnection = ReturnType<typeof connectRedis>;
