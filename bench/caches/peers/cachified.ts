import { type Cache, type CacheEntry, cachified, totalTtl } from "@epic-web/cachified";
import type { Redis } from "ioredis";
import { LRUCache } from "lru-cache";
import { connect, type OpenCache, TTL_MS } from "../cache.ts";

/** It has one store for each call, so with both tiers asked for it keeps values in Redis alone. */
export const openCache: OpenCache = async ({ redisUrl, tiers }, load) => {
  const cache = tiers === "local" ? localStore() : redisStore(connect(redisUrl));
  return {
    get: (key) => cachified({ key, cache, ttl: TTL_MS, getFreshValue: () => load(key) }),
    invalidate: async (key) => await cache.delete(key),
  };
};

function redisStore(redis: Redis): Cache {
  return {
    set: (key, entry) => redis.set(key, JSON.stringify(entry), "PX", totalTtl(entry.metadata)),
    async get(key) {
      const text = await redis.get(key);
      return text === null ? null : (JSON.parse(text) as CacheEntry);
    },
    delete: (key) => redis.del(key),
  };
}

function localStore(): Cache {
  const entries = new LRUCache<string, CacheEntry>({ max: 10_000 });
  return {
    set: (key, entry) => entries.set(key, entry, { ttl: totalTtl(entry.metadata) }),
    get: (key) => entries.get(key),
    delete: (key) => entries.delete(key),
  };
}
