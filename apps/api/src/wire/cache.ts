import type { CacheStats, Explanation } from "@mythic/shared/cache";
import { z } from "zod";
import { timeSchema } from "./shared.ts";

const rate = z.number().nullable().meta({ description: "0 to 1; null when nothing was looked for." });
const bytes = z.int().meta({ description: "Bytes." });

const familySchema = z
  .object({
    hits: z.object({ l1: z.int(), redis: z.int() }).meta({ description: "`l1`: in a process's own memory." }),
    misses: z.record(z.string(), z.int()).meta({ description: "By their reason." }),
    loads: z.int(),
    failed_loads: z.int(),
    load_ms: z.number().meta({ description: "Of all loads together." }),
    mean_load_ms: z.number().nullable(),
    stale_served: z.int(),
    coalesced: z
      .object({ process: z.int(), redis: z.int() })
      .meta({ description: "Callers who got what another caller, or another process, was loading." }),
    saves: z.object({ l1: z.int(), redis: z.int() }),
    stored_bytes: bytes,
    raw_bytes: z.int().meta({ description: "Bytes before compression." }),
    not_stored: z.record(z.string(), z.int()).meta({ description: "By their reason." }),
    invalidations: z.int(),
    evictions: z.int().meta({ description: "In processes' memories, for lack of room." }),
    entries: z.int().meta({ description: "In processes' memories." }),
    keys: z.int().nullable().meta({ description: "In Redis; null when that is not known." }),
    hit_rate: z.object({ last_minute: rate, last_hour: rate, since_start: rate }),
  })
  .meta({ id: "FamilyStats" });

export const cacheStatsSchema = z
  .object({
    is_on: z.boolean(),
    processes: z.int().meta({ description: "Whose sums these are." }),
    since: timeSchema.nullable().meta({ description: "Start of the oldest of them." }),
    total: familySchema.nullable(),
    families: z.record(z.string(), familySchema),
    memory: z
      .object({ bytes, max_bytes: bytes, entries: z.int(), evictions: z.int() })
      .nullable()
      .meta({ description: "Of all processes together." }),
    removed: z
      .object({ by_tag: z.int(), by_pattern: z.int(), by_clearing: z.int() })
      .nullable()
      .meta({ description: "Many at a time." }),
    redis: z
      .object({
        used_memory: z.int().nullable(),
        max_memory: z.int().nullable(),
        evicted_keys: z.int().nullable(),
        keys: z.int().meta({ description: "Values of all families." }),
      })
      .nullable(),
  })
  .meta({ id: "CacheStats" });

type WireStats = z.infer<typeof cacheStatsSchema>;

const OFF: WireStats = {
  is_on: false,
  processes: 0,
  since: null,
  total: null,
  families: {},
  memory: null,
  removed: null,
  redis: null,
};

/** Null: the cache is switched off. */
export function wireStats(stats: CacheStats | null): WireStats {
  if (stats === null) return OFF;
  const { processes, since, total, families, local, removed, redis } = stats;
  return {
    is_on: true,
    processes,
    since,
    total: wireFamily(total),
    families: Object.fromEntries(
      Object.entries(families).map(([name, family]) => [name, wireFamily(family)]),
    ),
    memory: {
      bytes: local.bytes,
      max_bytes: local.maxBytes,
      entries: local.entries,
      evictions: local.evictions,
    },
    removed: { by_tag: removed.tag, by_pattern: removed.pattern, by_clearing: removed.clear },
    redis: redis && {
      used_memory: redis.usedMemory,
      max_memory: redis.maxMemory,
      evicted_keys: redis.evictedKeys,
      keys: redis.keys,
    },
  };
}

function wireFamily(family: CacheStats["total"]): z.infer<typeof familySchema> {
  const { lastMinute, lastHour, sinceStart } = family.hitRate;
  return {
    hits: family.hits,
    misses: family.misses,
    loads: family.loads,
    failed_loads: family.failures,
    load_ms: family.loadMs,
    mean_load_ms: family.meanLoadMs,
    stale_served: family.stale,
    coalesced: family.coalesced,
    saves: family.saves,
    stored_bytes: family.storedBytes,
    raw_bytes: family.rawBytes,
    not_stored: family.refused,
    invalidations: family.invalidations,
    evictions: family.evictions,
    entries: family.entries,
    keys: family.keys,
    hit_rate: { last_minute: lastMinute, last_hour: lastHour, since_start: sinceStart },
  };
}

export const removedSchema = z
  .object({
    removed: z.int().meta({ description: "Values, or tags with `tag`; as far as that is known." }),
  })
  .meta({ id: "Removed" });

const storedSchema = z
  .object({
    fresh_ms: z.number().meta({ description: "From now on; past its time when not above 0." }),
    served_ms: z.number().meta({ description: "For so long it may be served if the store does not answer." }),
    raw_bytes: z.int(),
    load_ms: z.number(),
    revision: z.number().nullable(),
    tags: z.int(),
    is_negative: z.boolean().meta({ description: "It is known that there is none." }),
  })
  .meta({ id: "StoredValue" });

export const keySchema = z
  .object({
    key: z.string(),
    family: z.string(),
    scope: z.string().meta({ description: "Whose it is, as it stands in the key." }),
    memory: storedSchema.nullable().meta({ description: "Of the process that answers." }),
    redis: storedSchema
      .extend({ bytes: z.int().meta({ description: "As stored." }), is_compressed: z.boolean() })
      .nullable(),
    redis_state: z.enum(["there", "absent", "unreadable", "not asked"]),
    lease_ms: z.number().nullable().meta({ description: "Of whoever is loading it." }),
    failure_ms: z.number().nullable().meta({ description: "For so long the error of the last load stands." }),
    is_loading_here: z.boolean(),
  })
  .meta({ id: "CacheKey", description: "What is known of a value, and never the value." });

export function wireKey(explained: Explanation): z.infer<typeof keySchema> {
  const { key, family, scope, local, redis, leaseMs, failureMs, isLoadingHere } = explained;
  const inRedis = typeof redis === "string" ? null : redis;
  return {
    key,
    family,
    scope,
    memory: local && wireStored(local),
    redis: inRedis && { ...wireStored(inRedis), bytes: inRedis.bytes, is_compressed: inRedis.isCompressed },
    redis_state: typeof redis === "string" ? redis : "there",
    lease_ms: leaseMs,
    failure_ms: failureMs,
    is_loading_here: isLoadingHere,
  };
}

function wireStored(stored: NonNullable<Explanation["local"]>): z.infer<typeof storedSchema> {
  return {
    fresh_ms: Math.round(stored.freshMs),
    served_ms: Math.round(stored.servedMs),
    raw_bytes: stored.rawBytes,
    load_ms: stored.loadMs,
    revision: stored.revision,
    tags: stored.tags,
    is_negative: stored.isNegative,
  };
}
