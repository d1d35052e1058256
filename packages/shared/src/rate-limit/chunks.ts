import { LRUCache } from "lru-cache";
import { type Charge, costing } from "./charge.ts";
import { stateOf } from "./decide.ts";
import type { Judgement } from "./gcra.ts";
import type { DecidedBy, Decision, LimitState } from "./limit.ts";
import { MOST_KEYS } from "./local-tier.ts";

/** Units that Redis counts as spent, and that are spent here. */
interface Chunk {
  units: number;
  readonly lapsesAt: number;
  /** What Redis had left when it gave them. */
  readonly remaining: number;
  readonly resetAt: number;
}

/** What Redis said of an order; null when it is away. */
type Delivery = Promise<Judgement | null>;

/** The units that this process took from Redis in advance. */
export class Chunks {
  readonly #chunks = new LRUCache<string, Chunk>({ max: MOST_KEYS });
  readonly #deliveries = new Map<string, Delivery>();
  readonly #clock: () => number;

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  /** Spends the costs of all charges. Null when they are not all here; then nothing is spent. */
  spend(charges: readonly Charge[], tier: DecidedBy): Decision | null {
    const now = this.#clock();
    const chunks: Chunk[] = [];
    for (const charge of charges) {
      const chunk = this.#chunkFor(charge, now);
      if (chunk === null) return null;
      chunks.push(chunk);
    }
    const limits = chunks.map((chunk, index): LimitState => {
      const { name, limit, cost } = charges[index] as Charge;
      chunk.units -= cost;
      const remaining = Math.floor(chunk.units) + chunk.remaining;
      return { name, limit, remaining, resetMs: Math.ceil(Math.max(chunk.resetAt - now, 0)) };
    });
    return { allowed: true, refusedBy: null, never: false, retryAfterMs: 0, limits, tier };
  }

  /** What to take from Redis: a chunk of what is missing here, nothing of the rest. */
  order(charges: readonly Charge[]): Charge[] {
    const now = this.#clock();
    return charges.map((charge) => costing(charge, this.#chunkFor(charge, now) === null ? charge.chunk : 0));
  }

  /** An order under way of something that these charges need. */
  delivery(charges: readonly Charge[]): Delivery | null {
    for (const { key } of charges) {
      const delivery = this.#deliveries.get(key);
      if (delivery !== undefined) return delivery;
    }
    return null;
  }

  /** Puts in what was ordered for these charges once it comes, and spends their costs before others can. */
  async deliver(
    charges: readonly Charge[],
    order: readonly Charge[],
    judging: Delivery,
  ): Promise<{ readonly judgement: Judgement | null; readonly decision: Decision | null }> {
    let decision: Decision | null = null;
    const delivery = judging.then((judgement) => {
      if (judgement !== null && judgement.verdict.waitMs <= 0) {
        this.#put(judgement);
        decision = this.spend(charges, "redis");
      }
      return judgement;
    });
    const keys = order.filter(({ cost }) => cost > 0).map(({ key }) => key);
    for (const key of keys) this.#deliveries.set(key, delivery);
    const judgement = await delivery;
    for (const key of keys) this.#deliveries.delete(key);
    return { judgement, decision };
  }

  forget(key: string): void {
    this.#chunks.delete(key);
  }

  #put({ charges, verdict }: Judgement): void {
    const now = this.#clock();
    for (const [index, charge] of charges.entries()) {
      if (charge.cost === 0) continue;
      const backlogMs = (verdict.backlogsMs[index] ?? 0) + charge.chargeMs;
      const { remaining, resetMs } = stateOf(charge, { backlogMs, blockedMs: 0 });
      const rest = this.#chunks.get(charge.key);
      const units = charge.cost + (rest !== undefined && rest.lapsesAt > now ? rest.units : 0);
      const lapsesAt = now + charge.periodMs;
      this.#chunks.set(charge.key, { units, lapsesAt, remaining, resetAt: now + resetMs });
    }
  }

  #chunkFor({ key, cost }: Charge, now: number): Chunk | null {
    const chunk = this.#chunks.get(key);
    return chunk !== undefined && chunk.units >= cost && chunk.lapsesAt > now ? chunk : null;
  }
}
