import { createClient } from "@redis/client";
import { type OpenCache, TTL_MS } from "../cache.ts";

/** Another client of Redis, with its cache in the process that Redis keeps right; what is missing is loaded by hand. */
export const openCache: OpenCache = async ({ redisUrl, tiers }, load) => {
  const clientSideCache = { ttl: TTL_MS, maxEntries: 10_000, evictPolicy: "LRU" as const };
  const redis = createClient({ url: redisUrl, RESP: 3, ...(tiers === "redis" ? {} : { clientSideCache }) });
  redis.on("error", () => undefined);
  await redis.connect();
  return {
    async get(key) {
      const text = await redis.get(key);
      if (text !== null) return JSON.parse(text);
      const value = await load(key);
      await redis.set(key, JSON.stringify(value), { PX: TTL_MS });
      return value;
    },
    invalidate: (key) => redis.del(key),
  };
};
