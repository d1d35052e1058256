import type { GuardedRedis } from "./guarded-redis.ts";
import type { RedisConnection } from "./redis-connection.ts";

/** Waits until commands can be sent, for so long at most, and answers whether they can. */
export async function waitForRedis(
  redis: RedisConnection | GuardedRedis,
  withinMs: number,
): Promise<boolean> {
  if ("breaker" in redis) return await waitForBreaker(redis, withinMs);
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

async function waitForBreaker({ breaker }: GuardedRedis, withinMs: number): Promise<boolean> {
  if (breaker.state === "closed") return true;
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), withinMs);
  const stop = breaker.onChange((state) => {
    if (state === "closed") resolve(true);
  });
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    stop();
  }
}
