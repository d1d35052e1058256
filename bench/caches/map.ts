import { type OpenCache, TTL_MS } from "./cache.ts";

/** The least that a value kept in the process can cost: a Map and a look at the clock. */
export const openCache: OpenCache = async (_settings, load) => {
  const entries = new Map<string, { readonly value: unknown; readonly expiresAt: number }>();
  return {
    async get(key) {
      const entry = entries.get(key);
      if (entry !== undefined && entry.expiresAt > performance.now()) return entry.value;
      const value = await load(key);
      entries.set(key, { value, expiresAt: performance.now() + TTL_MS });
      return value;
    },
    async invalidate(key) {
      entries.delete(key);
    },
  };
};
