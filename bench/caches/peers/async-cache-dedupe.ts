import { createCache } from "async-cache-dedupe";
import { connect, type OpenCache, TTL_MS } from "../cache.ts";

const ttl = TTL_MS / 1_000;

/** It has one storage, so with both tiers asked for it keeps values in Redis alone. Its tags are called references. */
export const openCache: OpenCache = async ({ redisUrl, tiers, tags = [] }, load) => {
  const storage =
    tiers === "local"
      ? { type: "memory" as const, options: { size: 10_000, invalidation: true } }
      : {
          type: "redis" as const,
          options: { client: connect(redisUrl), invalidation: { referencesTTL: ttl } },
        };
  const cache = createCache({ ttl, storage }).define(
    "value",
    { references: (key: string) => [`key:${key}`, ...tags] },
    (key: string) => load(key),
  );
  return {
    get: (key) => cache.value(key),
    invalidate: (key) => cache.invalidate("value", [`key:${key}`]),
    invalidateTag: (tag) => cache.invalidate("value", [tag]),
  };
};
