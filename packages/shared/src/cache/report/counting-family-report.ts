import type { FamilyReport, MissReason, RefusalReason, SavedValue } from "../cache-report.ts";
import type { CacheEventPorts } from "./cache-events.ts";
import { type FamilyCounters, noCounters } from "./family-counters.ts";

/** Counts what happens to a family, and tells those who listen. */
export class CountingFamilyReport implements FamilyReport {
  readonly name: string;
  readonly counters: FamilyCounters = noCounters();
  readonly #ports: CacheEventPorts;

  constructor(name: string, ports: CacheEventPorts) {
    this.name = name;
    this.#ports = ports;
  }

  localHit(key: string): void {
    this.counters.hits.l1 += 1;
    if (this.#ports.hit.isHeard) this.#ports.hit.tell(this.name, key, { tier: "l1", ms: 0 });
  }

  redisHit(key: string, ms: number): void {
    this.counters.hits.redis += 1;
    if (this.#ports.hit.isHeard) this.#ports.hit.tell(this.name, key, { tier: "redis", ms });
  }

  miss(key: string, reason: MissReason, ms: number): void {
    this.counters.misses[reason] += 1;
    if (this.#ports.miss.isHeard) this.#ports.miss.tell(this.name, key, { reason, ms });
  }

  staleServed(key: string, cause: "failure" | "slow"): void {
    this.counters.stale += 1;
    if (this.#ports.stale.isHeard) this.#ports.stale.tell(this.name, key, { reason: cause });
  }

  loaded(key: string, ms: number): void {
    this.#loadEnded(key, ms, "done");
  }

  loadFailed(key: string, ms: number): void {
    this.counters.failures += 1;
    this.#loadEnded(key, ms, "failed");
  }

  saved(key: string, { tier, bytes, rawBytes, ms }: SavedValue): void {
    this.counters.saves[tier] += 1;
    if (tier === "redis") {
      this.counters.storedBytes += bytes;
      this.counters.rawBytes += rawBytes;
    }
    if (this.#ports.save.isHeard) this.#ports.save.tell(this.name, key, { tier, ms, bytes, rawBytes });
  }

  refused(key: string, reason: RefusalReason): void {
    this.counters.refused[reason] += 1;
    if (this.#ports.refuse.isHeard) this.#ports.refuse.tell(this.name, key, { reason });
  }

  coalesced(key: string, where: "process" | "redis"): void {
    this.counters.coalesced[where] += 1;
    if (this.#ports.coalesce.isHeard) this.#ports.coalesce.tell(this.name, key, { tier: where });
  }

  invalidated(key: string, ms: number): void {
    this.counters.invalidations += 1;
    if (this.#ports.invalidate.isHeard) this.#ports.invalidate.tell(this.name, key, { ms });
  }

  /** A value had to make room in this process's memory. */
  evicted(): void {
    this.counters.evictions += 1;
    if (this.#ports.evict.isHeard) this.#ports.evict.tellAtLarge({ family: this.name });
  }

  #loadEnded(key: string, ms: number, reason: "done" | "failed"): void {
    this.counters.loads += 1;
    this.counters.loadMs += ms;
    if (this.#ports.load.isHeard) this.#ports.load.tell(this.name, key, { reason, ms });
  }
}
