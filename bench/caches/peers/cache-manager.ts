import { createKeyv as createRedisKeyv } from "@keyv/redis";
import { createCache } from "cache-manager";
import { createKeyv } from "cacheable";
import { type OpenCache, TTL_MS } from "../cache.ts";

export const openCache: OpenCache = async ({ redisUrl, tiers }, load) => {
  const local = () => createKeyv({ lruSize: 10_000, ttl: TTL_MS });
  const remote = () => createRedisKeyv(redisUrl);
  const stores = {
    local: () => [local()],
    redis: () => [remote()],
    "local and redis": () => [local(), remote()],
  }[tiers]();
  const cache = createCache({ stores, ttl: TTL_MS });
  return {
    get: (key) => cache.wrap(key, () => load(key)),
    invalidate: (key) => cache.del(key),
  };
};
