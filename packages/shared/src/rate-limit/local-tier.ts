import { LRUCache } from "lru-cache";
import type { Charge } from "./charge.ts";
import {
  type Adjustment,
  adjust,
  dueMs,
  judge,
  NO_STAKE,
  type Purpose,
  type Stake,
  type Standing,
  type Verdict,
  view,
} from "./gcra.ts";

interface State {
  /** When all that was charged has drained. */
  readonly drainedAt: number;
  readonly blockedUntil: number;
}

/** Of every map in a process: keys come from outside, and may be as many as they like. */
export const MOST_KEYS = 10_000;

const FRESH: Standing = { backlogMs: 0, blockedMs: 0 };

/** The limits as this process alone sees them. Of too many keys those are forgotten that were used least recently. */
export class LocalTier {
  readonly #states = new LRUCache<string, State>({ max: MOST_KEYS });
  readonly #clock: () => number;

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  get isEmpty(): boolean {
    return this.#states.size === 0;
  }

  /** Whether what was charged here is still here. */
  has(key: string): boolean {
    return this.#states.has(key);
  }

  take(charges: readonly Charge[], purpose: Purpose, stakes: readonly Stake[]): Verdict {
    const stakeOf = (index: number) => stakes[index] ?? NO_STAKE;
    const standings = charges.map(({ key }) => this.#standing(key));
    const views = standings.map((standing, index) => view(standing, stakeOf(index)));
    const verdict = judge(
      charges,
      views.map(({ backlogMs }) => backlogMs),
      standings.map(({ blockedMs }) => blockedMs),
    );
    for (const [index, charge] of charges.entries()) {
      const due = dueMs(charge, verdict, index, purpose);
      if (due <= 0 && stakeOf(index).creditMs <= 0) continue;
      const { blockedMs } = standings[index] ?? FRESH;
      this.#keep(charge.key, { backlogMs: (views[index]?.totalMs ?? 0) + due, blockedMs });
    }
    return verdict;
  }

  adjust(adjustment: Adjustment): void {
    this.#keep(adjustment.key, adjust(this.#standing(adjustment.key), adjustment));
  }

  forget(key: string): void {
    this.#states.delete(key);
  }

  /** Takes out how a limit stands, as the change that it makes for `instances` processes together. Null when there is none. */
  withdraw(key: string, instances: number): Adjustment | null {
    const { backlogMs, blockedMs } = this.#standing(key);
    this.#states.delete(key);
    if (Math.max(backlogMs, blockedMs) <= 0) return null;
    return { key, deltaMs: backlogMs / instances, blockMs: blockedMs };
  }

  #standing(key: string): Standing {
    const state = this.#states.get(key);
    if (state === undefined) return FRESH;
    const now = this.#clock();
    return {
      backlogMs: Math.max(state.drainedAt - now, 0),
      blockedMs: Math.max(state.blockedUntil - now, 0),
    };
  }

  #keep(key: string, { backlogMs, blockedMs }: Standing): void {
    const now = this.#clock();
    this.#states.set(key, { drainedAt: now + backlogMs, blockedUntil: now + blockedMs });
  }
}
