import { Redis } from "ioredis";

/** How a row wants a cache to be set up. */
export interface CacheSettings {
  readonly redisUrl: string;
  /** Where values are kept. */
  readonly tiers: "local" | "redis" | "local and redis";
  /** Put on every value. */
  readonly tags?: readonly string[];
}

/** A cache as the rows see it. */
export interface ContenderCache {
  /** Gets a value, loading it when it is not there. */
  get(key: string): Promise<unknown>;
  /** Removes a value, for all processes if the cache can. */
  invalidate(key: string): Promise<unknown>;
  /** Removes all values that bear a tag. Left out where the cache has no tags. */
  readonly invalidateTag?: (tag: string) => Promise<unknown>;
  /** Whether the process itself holds the value now. Left out where a cache cannot tell without asking Redis. */
  readonly holds?: (key: string) => boolean;
}

export type Load = (key: string) => Promise<unknown>;
/** What a file of this folder exports as `openCache`. */
export type OpenCache = (settings: CacheSettings, load: Load) => Promise<ContenderCache>;

/** Of every value, in milliseconds: nothing expires while a row runs. */
export const TTL_MS = 600_000;
/** An answer of Redis that takes longer is given up, in milliseconds, where a cache lets us say so. */
export const COMMAND_TIMEOUT_MS = 200;

const OWN = ["mythic", "map", "naive"];

export async function openContender(
  name: string,
  settings: CacheSettings,
  load: Load,
): Promise<ContenderCache> {
  const folder = OWN.includes(name) ? "." : "./peers";
  const { openCache } = (await import(`${folder}/${name}.ts`)) as { readonly openCache: OpenCache };
  return await openCache(settings, load);
}

/**
 * A connection as a careful operator sets it up. With ioredis' own settings every peer would wait for a frozen Redis
 * without end.
 */
export function connect(redisUrl: string): Redis {
  const redis = new Redis(redisUrl, { commandTimeout: COMMAND_TIMEOUT_MS, maxRetriesPerRequest: 1 });
  // A frozen Redis is part of what is measured.
  redis.on("error", () => undefined);
  return redis;
}
