import type { CacheTier, MissReason, RefusalReason } from "../cache-report.ts";

/** What is counted of a family since the process started. Nothing but sums, so those of several processes can be added. */
export interface FamilyCounters {
  readonly hits: Record<CacheTier, number>;
  readonly misses: Record<MissReason, number>;
  /** Values that were to be stored and were not. */
  readonly refused: Record<RefusalReason, number>;
  /** Callers who shared the load of another in the same process, or of another process. */
  readonly coalesced: Record<"process" | "redis", number>;
  /** Loads that ended, and those of them that failed. */
  loads: number;
  failures: number;
  /** Milliseconds that all loads took together. */
  loadMs: number;
  /** Values that were served after their time. */
  stale: number;
  /** Values that were put into Redis, or into this process's memory alone. */
  readonly saves: Record<CacheTier, number>;
  /** Of what was put into Redis, as it is stored there and before compression. */
  storedBytes: number;
  rawBytes: number;
  /** Values invalidated one by one. */
  invalidations: number;
  /** Values that had to make room in this process's memory. */
  evictions: number;
}

export function noCounters(): FamilyCounters {
  return {
    hits: { l1: 0, redis: 0 },
    misses: { absent: 0, expired: 0, tag: 0, schema: 0, format: 0, "redis-down": 0 },
    refused: { size: 0, schema: 0, fenced: 0, revision: 0 },
    coalesced: { process: 0, redis: 0 },
    loads: 0,
    failures: 0,
    loadMs: 0,
    stale: 0,
    saves: { l1: 0, redis: 0 },
    storedBytes: 0,
    rawBytes: 0,
    invalidations: 0,
    evictions: 0,
  };
}

export const sumOf = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((total, count) => total + count, 0);
