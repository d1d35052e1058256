import { LRUCache } from "lru-cache";
import type { Charge } from "./charge.ts";
import { decide } from "./decide.ts";
import { type Judgement, judge } from "./gcra.ts";
import type { Decision } from "./limit.ts";
import { MOST_KEYS } from "./local-tier.ts";

/** Redis is asked again after this, as another process may have lifted or settled what refused. */
const LONGEST_MEMORY_MS = 5_000;

interface Memory {
  readonly drainedAt: number;
  readonly blockedUntil: number;
  readonly forgottenAt: number;
}

/** What Redis said when it refused: what is refused again for the same reason need not be asked. */
export class Refusals {
  readonly #memories = new LRUCache<string, Memory>({ max: MOST_KEYS });
  readonly #clock: () => number;

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  remember({ charges, verdict: { backlogsMs, blocksMs, waitMs } }: Judgement): void {
    const now = this.#clock();
    const forgottenAt = now + Math.min(waitMs, LONGEST_MEMORY_MS);
    for (const [index, { key }] of charges.entries()) {
      const drainedAt = now + (backlogsMs[index] ?? 0);
      this.#memories.set(key, { drainedAt, blockedUntil: now + (blocksMs[index] ?? 0), forgottenAt });
    }
  }

  /** A refusal that is certain, by the limits that are remembered. Null when Redis is to be asked. */
  find(charges: readonly Charge[]): Decision | null {
    if (this.#memories.size === 0) return null;
    const now = this.#clock();
    const known: Charge[] = [];
    const backlogsMs: number[] = [];
    const blocksMs: number[] = [];
    for (const charge of charges) {
      const memory = this.#memories.get(charge.key);
      if (memory === undefined || memory.forgottenAt <= now) continue;
      known.push(charge);
      backlogsMs.push(Math.max(memory.drainedAt - now, 0));
      blocksMs.push(Math.max(memory.blockedUntil - now, 0));
    }
    const verdict = judge(known, backlogsMs, blocksMs);
    return verdict.waitMs > 0 ? decide({ tier: "denied-here", charges: known, verdict }) : null;
  }

  forget(key: string): void {
    this.#memories.delete(key);
  }
}
