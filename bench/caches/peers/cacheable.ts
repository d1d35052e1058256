import { createKeyv as createRedisKeyv } from "@keyv/redis";
import { Cacheable, createKeyv } from "cacheable";
import { type OpenCache, TTL_MS } from "../cache.ts";

export const openCache: OpenCache = async ({ redisUrl, tiers, tags = [] }, load) => {
  const local = () => createKeyv({ lruSize: 10_000, ttl: TTL_MS });
  const cache = new Cacheable({
    ttl: TTL_MS,
    tags: tags.length > 0,
    primary: tiers === "redis" ? createRedisKeyv(redisUrl) : local(),
    ...(tiers === "local and redis" ? { secondary: createRedisKeyv(redisUrl) } : {}),
  });
  // It reports errors of its stores here, and would throw them without a listener.
  cache.on("error", () => undefined);
  return {
    get: tags.length > 0 ? getTagged : (key) => cache.getOrSet(key, () => load(key), { ttl: TTL_MS }),
    invalidate: (key) => cache.delete(key),
    invalidateTag: (tag) => cache.tags.invalidateTag(tag),
  };

  /** `getOrSet` takes no tags. */
  async function getTagged(key: string): Promise<unknown> {
    const kept = await cache.get(key);
    if (kept !== undefined) return kept;
    const value = await load(key);
    await cache.set(key, value, { ttl: TTL_MS, tags: [...tags] });
    return value;
  }
};
