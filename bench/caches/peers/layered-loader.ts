import { Redis } from "ioredis";
import { createNotificationPair, Loader, RedisCache } from "layered-loader";
import { connect, type OpenCache, TTL_MS } from "../cache.ts";

export const openCache: OpenCache = async ({ redisUrl, tiers }, load) => {
  const local = tiers !== "redis" && {
    cacheType: "lru-object" as const,
    ttlInMsecs: TTL_MS,
    maxItems: 10_000,
  };
  const remote =
    tiers !== "local" && new RedisCache<unknown>(connect(redisUrl), { json: true, ttlInMsecs: TTL_MS });
  const pair =
    tiers === "local and redis" &&
    createNotificationPair<unknown>({
      channel: "values",
      publisherRedis: connect(redisUrl),
      consumerRedis: new Redis(redisUrl),
    });
  const loader = new Loader<unknown>({
    inMemoryCache: local,
    ...(remote ? { asyncCache: remote } : {}),
    ...(pair ? { notificationConsumer: pair.consumer, notificationPublisher: pair.publisher } : {}),
    dataSourceGetOneFn: load,
  });
  await loader.init();
  return {
    get: (key) => loader.get(key),
    invalidate: (key) => loader.invalidateCacheFor(key),
  };
};
