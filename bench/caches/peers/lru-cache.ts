import { LRUCache } from "lru-cache";
import { type OpenCache, TTL_MS } from "../cache.ts";

export const openCache: OpenCache = async (_settings, load) => {
  const entries = new LRUCache<string, object>({ max: 10_000, ttl: TTL_MS });
  return {
    async get(key) {
      const kept = entries.get(key);
      if (kept !== undefined) return kept;
      const value = await load(key);
      entries.set(key, value as object);
      return value;
    },
    async invalidate(key) {
      entries.delete(key);
    },
  };
};
