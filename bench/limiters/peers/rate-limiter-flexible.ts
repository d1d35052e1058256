import { RateLimiterRedis, RateLimiterUnion } from "rate-limiter-flexible";
import { connect } from "../../caches/cache.ts";
import type { OpenLimiter } from "../limiter.ts";

/** Two limits: a union of three is not what it was measured with before, and would only cost more. */
export const openLimiter: OpenLimiter = async (redisUrl) => {
  const storeClient = connect(redisUrl);
  const limit = (keyPrefix: string, duration: number) =>
    new RateLimiterRedis({ storeClient, points: 1e9, duration, keyPrefix });
  const union = new RateLimiterUnion(limit("minute", 60), limit("hour", 3_600));
  return (caller) => union.consume(caller);
};
