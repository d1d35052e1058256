/** Where a value was found: `l1` is the memory of this process. */
export type CacheTier = "l1" | "redis";

/**
 * Why a value was not found:
 * - `absent`: neither tier has it (never stored, expired, evicted or removed; Redis does not say which)
 * - `expired`: it is there, and past its time
 * - `tag`: one of its tags was invalidated
 * - `schema`: it does not fit the family's schema
 * - `format`: its envelope is broken, or of a format that this program does not know
 * - `redis-down`: not in memory, and Redis cannot be asked
 */
export type MissReason = "absent" | "expired" | "tag" | "schema" | "format" | "redis-down";

/** Why a value was given to its caller and not stored. `fenced`: it was invalidated while it was being loaded. */
export type RefusalReason = "size" | "schema" | "fenced" | "revision";

export interface SavedValue {
  /** `redis` when Redis has it, `l1` when only this process has. */
  readonly tier: CacheTier;
  /** As they are stored, and before compression; both 0 for the mark that there is no value. */
  readonly bytes: number;
  readonly rawBytes: number;
  readonly ms: number;
}

/**
 * What the cache tells of one family. `key` is always the full Redis key of the value (`scopeOf` in `value-key.ts` gives its scope, which a
 * report hashes); times are in milliseconds.
 */
export interface FamilyReport {
  /** The hot path: counts, and does no more unless somebody listens. */
  localHit(key: string): void;
  redisHit(key: string, ms: number): void;
  miss(key: string, reason: MissReason, ms: number): void;
  /** A value past its time was served, as the source failed or was slow. */
  staleServed(key: string, cause: "failure" | "slow"): void;
  loaded(key: string, ms: number): void;
  loadFailed(key: string, ms: number): void;
  saved(key: string, saved: SavedValue): void;
  refused(key: string, reason: RefusalReason): void;
  /** A caller shared a load of this process, or of another one. */
  coalesced(key: string, where: "process" | "redis"): void;
  invalidated(key: string, ms: number): void;
}

/** What the cache tells of itself as a whole. */
export interface CacheReport {
  /** The same object for the same name, so that callers can keep it. */
  family(name: string): FamilyReport;
  /** Many values were invalidated at once. `count`: how many were removed, as far as that is known. */
  invalidatedMany(by: "tag" | "pattern" | "clear", count: number, ms: number): void;
}
