import { openRateLimiter } from "@mythic/shared/rate-limit";
import { openGuardedRedis } from "@mythic/shared/redis";
import { waitFor } from "@mythic/testing/wait";
import type { OpenLimiter } from "./limiter.ts";

const SECOND = 1_000;

export const openLimiter: OpenLimiter = async (redisUrl) => {
  const redis = openGuardedRedis(redisUrl);
  await waitFor(() => redis.breaker.state === "closed");
  const limiter = openRateLimiter({ namespace: "bench", redis });
  const limit = (name: string, periodMs: number, key: string) => ({
    name,
    key,
    limit: 1e9,
    periodMs,
    group: key,
  });
  return async (caller) => {
    const decision = await limiter.limit([
      limit("second", SECOND, caller),
      limit("minute", 60 * SECOND, caller),
      limit("hour", 3_600 * SECOND, caller),
    ]);
    if (decision.tier !== "redis" || !decision.allowed)
      throw new Error(`It was decided by ${decision.tier}.`);
  };
};
