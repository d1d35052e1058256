import { connect, type OpenCache, TTL_MS } from "./cache.ts";

/**
 * The least that a value kept in Redis can cost, and what many write by hand: GET, else load and SET. With tags, their
 * versions come in the same MGET.
 */
export const openCache: OpenCache = async ({ redisUrl, tags = [] }, load) => {
  const redis = connect(redisUrl);
  const tagKeys = tags.map((tag) => `naive:tag:${tag}`);
  if (tagKeys.length > 0) await redis.mset(tagKeys.flatMap((tagKey) => [tagKey, "1"]));
  const read =
    tagKeys.length > 0
      ? async (key: string) => (await redis.mget(key, ...tagKeys))[0]
      : (key: string) => redis.get(key);
  return {
    async get(key) {
      const text = await read(`naive:${key}`).catch(() => null);
      if (typeof text === "string") return JSON.parse(text);
      const value = await load(key);
      await redis.set(`naive:${key}`, JSON.stringify(value), "PX", TTL_MS).catch(() => null);
      return value;
    },
    invalidate: (key) => redis.del(`naive:${key}`),
  };
};
