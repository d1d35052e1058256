import type { BreakerSnapshot } from "../redis/circuit-breaker.ts";
import type { CoherenceState } from "./coherence-feed.ts";
import type { Tiers } from "./tiers.ts";

export interface CacheHealth {
  /** `off`: without Redis by configuration. `degraded`: Redis cannot be used, refuses writes, or changes made there are not heard. */
  readonly status: "ok" | "degraded" | "off";
  readonly breaker: BreakerSnapshot | null;
  /** How changes made by other processes reach this one. */
  readonly coherence: CoherenceState;
  /** Invalidations that Redis has not been told of yet. */
  readonly pendingRemovals: number;
  /** The memory of this process. Null: not used. */
  readonly local: { readonly entries: number; readonly bytes: number; readonly evictions: number } | null;
}

export function healthOf({ access, feed, local }: Tiers): CacheHealth {
  const breaker = access?.redis.breaker.snapshot() ?? null;
  const isWell = access?.isOpen === true && breaker?.refusal === null && feed.state !== "lost";
  return {
    status: access === null ? "off" : isWell ? "ok" : "degraded",
    breaker,
    coherence: feed.state,
    pendingRemovals: access?.pendingRemovals ?? 0,
    local: local === null ? null : { entries: local.size, bytes: local.bytes, evictions: local.evictions },
  };
}
