import { type FamilyCounters, noCounters, sumOf } from "./family-counters.ts";
import type { LookUps } from "./hit-window.ts";

/** What one process has to say of a family. All sums. */
export interface FamilySums extends FamilyCounters {
  /** In this process's memory. */
  entries: number;
  readonly lastMinute: LookUps;
  readonly lastHour: LookUps;
}

/** What one process has to say of its cache. All sums, but for the time. */
export interface ProcessSums {
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly local: LocalStats;
  readonly removed: BulkRemovals;
  readonly families: Readonly<Record<string, FamilySums>>;
}

/** The memory of a process, or of all of them together. Sizes in bytes. */
interface LocalStats {
  readonly bytes: number;
  readonly maxBytes: number;
  readonly entries: number;
  readonly evictions: number;
}

/** Values removed many at a time, as far as their number is known. */
interface BulkRemovals {
  readonly tag: number;
  readonly pattern: number;
  readonly clear: number;
}

/** Shares of look-ups that found something, 0 to 1. Null: nothing was looked for. */
interface HitRates {
  readonly lastMinute: number | null;
  readonly lastHour: number | null;
  readonly sinceStart: number | null;
}

interface FamilyStats extends Readonly<FamilyCounters> {
  readonly hitRate: HitRates;
  /** Milliseconds of a load, on average. Null: there was none. */
  readonly meanLoadMs: number | null;
  /** In the memory of processes; a value that several have counts for each. */
  readonly entries: number;
  /** In Redis, estimated when there are very many. Null: not asked, or Redis did not answer. */
  readonly keys: number | null;
}

/** What Redis says of itself. Sizes in bytes. */
interface RedisStats {
  readonly usedMemory: number | null;
  readonly maxMemory: number | null;
  /** Keys of all kinds removed for lack of memory, since Redis started. */
  readonly evictedKeys: number | null;
}

export interface CacheStats {
  /** Whose sums these are: all processes that were heard of within the last seconds. */
  readonly processes: number;
  /** When the oldest of them started, in ISO 8601. Its sums begin there. */
  readonly since: string;
  readonly total: FamilyStats;
  readonly families: Readonly<Record<string, FamilyStats>>;
  readonly local: LocalStats;
  readonly removed: BulkRemovals;
  /** Null: Redis is not used, was not asked, or did not answer. */
  readonly redis: (RedisStats & { readonly keys: number }) | null;
}

export interface RedisFindings extends RedisStats {
  /** Values of each family. */
  readonly keys: ReadonlyMap<string, number>;
}

/** Adds up what processes say. What another version of the program says and this one does not know is left out. */
export function statsOf(processes: readonly ProcessSums[], redis: RedisFindings | null = null): CacheStats {
  const names = new Set(processes.flatMap(({ families }) => Object.keys(families)));
  for (const name of redis?.keys.keys() ?? []) names.add(name);
  const ofFamily = (name: string) => processes.map(({ families }) => families[name]);
  const keysOf = (name: string) => (redis === null ? null : (redis.keys.get(name) ?? 0));
  const sorted = [...names].sort();
  const families = sorted.map((name) => [name, describe(ofFamily(name), keysOf(name))] as const);
  const allKeys = redis === null ? null : sumOf(Object.fromEntries(redis.keys));
  return {
    processes: processes.length,
    since: new Date(Math.min(...processes.map(({ startedAt }) => startedAt))).toISOString(),
    total: describe(sorted.flatMap(ofFamily), allKeys),
    families: Object.fromEntries(families),
    local: add(
      { bytes: 0, maxBytes: 0, entries: 0, evictions: 0 },
      processes.map(({ local }) => local),
    ),
    removed: add(
      { tag: 0, pattern: 0, clear: 0 },
      processes.map(({ removed }) => removed),
    ),
    redis: redis === null || allKeys === null ? null : { ...redis, keys: allKeys },
  };
}

function describe(parts: readonly (FamilySums | undefined)[], keys: number | null): FamilyStats {
  const zero = {
    ...noCounters(),
    entries: 0,
    lastMinute: { hits: 0, total: 0 },
    lastHour: { hits: 0, total: 0 },
  };
  const { lastMinute, lastHour, ...sums } = add(zero, parts);
  return {
    ...sums,
    keys,
    meanLoadMs: sums.loads === 0 ? null : sums.loadMs / sums.loads,
    hitRate: {
      lastMinute: rateOf(lastMinute),
      lastHour: rateOf(lastHour),
      sinceStart: rateOf(lookUpsOf(sums)),
    },
  };
}

export function lookUpsOf({ hits, misses }: Readonly<FamilyCounters>): LookUps {
  const found = sumOf(hits);
  return { hits: found, total: found + sumOf(misses) };
}

const rateOf = ({ hits, total }: LookUps): number | null => (total === 0 ? null : hits / total);

/** Adds numbers to those of the same name, however deep, and changes the first argument only. */
function add<Sums extends object>(sums: Sums, parts: readonly unknown[]): Sums {
  const into = sums as Record<string, unknown>;
  for (const name of Object.keys(into)) {
    const values = parts.map((part) => (isRecord(part) ? part[name] : undefined));
    const own = into[name];
    if (isRecord(own)) add(own, values);
    else into[name] = values.reduce((total: number, value) => total + numberOf(value), numberOf(own));
  }
  return sums;
}

const numberOf = (value: unknown): number => (typeof value === "number" ? value : 0);

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null;
