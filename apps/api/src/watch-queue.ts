import { type GuardedRedis, openGuardedRedis } from "@mythic/shared/redis";
import type { Logger } from "pino";

/** Opens a connection of its own to the queue's Redis, so that a queue that is busy is not mistaken for one that is gone. Null without a URL. */
export function watchQueue(
  stack: AsyncDisposableStack,
  url: string | null,
  logger: Logger,
): GuardedRedis | null {
  if (url === null) return null;
  const onError = (error: unknown) => logger.warn({ err: error }, "redis");
  const redis = openGuardedRedis(url, { connectionName: "mythic:health", onError });
  stack.defer(() => redis.close());
  return redis;
}
