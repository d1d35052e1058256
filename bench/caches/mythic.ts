import { defineFamily, openCache as openMythicCache } from "@mythic/shared/cache";
import { openGuardedRedis } from "@mythic/shared/redis";
import { COMMAND_TIMEOUT_MS, type OpenCache, TTL_MS } from "./cache.ts";

const READER = "reader";
const LOCAL_BYTES = 64 * 1_048_576;
const READY_MS = 5_000;

export const openCache: OpenCache = async ({ redisUrl, tiers, tags }, load) => {
  const redis =
    tiers === "local" ? null : openGuardedRedis(redisUrl, { commandTimeoutMs: COMMAND_TIMEOUT_MS });
  const values = defineFamily({
    name: "value",
    scope: "user",
    version: 1,
    ttlMs: TTL_MS,
    key: (name: string) => name,
    // The peers check nothing, so nothing is checked here either.
    schema: { safeParse: (data: unknown) => ({ success: true as const, data }) },
    ...(tags === undefined ? {} : { tags: () => tags }),
  });
  const cache = openMythicCache({
    namespace: "bench",
    families: { values },
    redis,
    local: tiers === "redis" ? null : { maxBytes: LOCAL_BYTES },
  });
  await cache.ready(READY_MS);
  const family = cache.families.values;
  return {
    get: (key) => family.getOrSet(READER, key, () => load(key)),
    invalidate: (key) => family.invalidate(READER, key),
    invalidateTag: (tag) => cache.deleteByTag({ user: READER }, tag),
    holds: (key) => family.peek(READER, key) !== undefined,
  };
};
