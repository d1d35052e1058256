import { type GuardedRedis, RedisUnavailable } from "../redis/index.ts";
import { type Charge, shareOf, waived } from "./charge.ts";
import { type Claim, stakesOf } from "./claim.ts";
import type { Adjustment, Judgement, Purpose, Stake } from "./gcra.ts";
import { LocalTier } from "./local-tier.ts";
import { RedisTier } from "./redis-tier.ts";

export interface TiersOptions {
  readonly redis: GuardedRedis | null;
  readonly instances: number;
  readonly clock: () => number;
}

const NO_STAKES: readonly Stake[] = [];
const NOBODY = Promise.resolve(null);

/** Redis, and this process while that is away. What was spent meanwhile is charged to Redis when it is back. */
export class Tiers {
  readonly #redis: RedisTier | null;
  readonly #local: LocalTier;
  readonly #instances: number;
  readonly #clock: () => number;
  /** Until what is being handed over has come to something. */
  #handingOver: Promise<void> | null = null;

  constructor({ redis, instances, clock }: TiersOptions) {
    this.#redis = redis === null ? null : new RedisTier(redis);
    this.#local = new LocalTier(clock);
    this.#instances = instances;
    this.#clock = clock;
  }

  /** `claim` is what the attempt before left behind. Never rejects. */
  async take(charges: readonly Charge[], purpose: Purpose, claim: Claim | null = null): Promise<Judgement> {
    return (await this.takeShared(charges, purpose, claim)) ?? this.takeHere(charges, purpose, claim);
  }

  /** Null when there is no Redis to ask; why is known to its breaker. Never rejects. */
  takeShared(
    charges: readonly Charge[],
    purpose: Purpose,
    claim: Claim | null = null,
  ): Promise<Judgement | null> {
    const redis = this.#redis;
    if (charges.length === 0 || redis === null || redis.isAway) return NOBODY;
    if (!this.#local.isEmpty) this.#handOver(charges);
    const ask = () => redis.take(charges, purpose, this.#stakes(claim, "redis"));
    return this.#handingOver === null ? ask() : this.#handingOver.then(ask);
  }

  takeHere(charges: readonly Charge[], purpose: Purpose, claim: Claim | null = null): Judgement {
    const own = charges.map((charge) =>
      charge.failsOpen && this.#redis !== null ? waived(charge) : shareOf(charge, this.#instances),
    );
    const verdict = this.#local.take(own, purpose, this.#stakes(claim, "local"));
    return { tier: "local", charges: own, verdict };
  }

  /** Changes what a judgement charged, wherever that is by now. Never rejects. */
  async amend({ tier }: Judgement, adjustments: readonly Adjustment[]): Promise<void> {
    if (tier === "redis") {
      await this.adjust(adjustments);
      return;
    }
    const handedOver: Adjustment[] = [];
    for (const adjustment of adjustments) {
      if (this.#redis === null || this.#local.has(adjustment.key)) this.#local.adjust(adjustment);
      else handedOver.push({ ...adjustment, deltaMs: adjustment.deltaMs / this.#instances });
    }
    await this.adjust(handedOver);
  }

  /** Changes limits for all processes: true; or for this one while Redis is away: false. Never rejects. */
  async adjust(adjustments: readonly Adjustment[]): Promise<boolean> {
    if (adjustments.length === 0) return true;
    try {
      if (this.#redis === null) return this.#adjustHere(adjustments);
      await this.#redis.adjust(adjustments);
      return true;
    } catch (error) {
      if (error instanceof RedisUnavailable) return this.#adjustHere(adjustments);
      // Nobody knows whether Redis did it: what takes is done again, what gives back is not.
      return this.#adjustHere(adjustments.map((one) => ({ ...one, deltaMs: Math.max(one.deltaMs, 0) })));
    }
  }

  /** Makes a limit as good as new for all processes: true; or for this one while Redis is away: false. Never rejects. */
  async forget(key: string): Promise<boolean> {
    this.#local.forget(key);
    try {
      await this.#redis?.forget(key);
      return this.#redis !== null;
    } catch {
      return false;
    }
  }

  #adjustHere(adjustments: readonly Adjustment[]): false {
    for (const adjustment of adjustments) {
      this.#local.adjust({ ...adjustment, deltaMs: adjustment.deltaMs * this.#instances });
    }
    return false;
  }

  /** Sends what is owed before the question that it counts for. If Redis does not take it, it is owed here again. */
  #handOver(charges: readonly Charge[]): void {
    const owed = charges.map(({ key }) => this.#local.withdraw(key, this.#instances));
    const adjustments = owed.filter((adjustment) => adjustment !== null);
    if (adjustments.length === 0) return;
    const earlier = this.#handingOver;
    const handingOver = this.adjust(adjustments).then(async () => {
      await earlier;
      if (this.#handingOver === handingOver) this.#handingOver = null;
    });
    this.#handingOver = handingOver;
  }

  #stakes(claim: Claim | null, tier: Judgement["tier"]): readonly Stake[] {
    return claim?.judgement.tier === tier ? stakesOf(claim, this.#clock()) : NO_STAKES;
  }
}
