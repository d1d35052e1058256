import type { GuardedRedis } from "../redis/index.ts";
import { type Charge, chargesOf, checkDuration, isWaived, LONGEST_MS } from "./charge.ts";
import { Chunks } from "./chunks.ts";
import { decide, refuseForGood } from "./decide.ts";
import type { Adjustment, Judgement } from "./gcra.ts";
import type { Decision, Limit, RateLimiter, Reservation } from "./limit.ts";
import { Place } from "./place.ts";
import { Refusals } from "./refusals.ts";
import { reservation } from "./reservation.ts";
import { Tiers } from "./tiers.ts";
import { WaitingLine } from "./waiting-line.ts";

export interface RateLimiterOptions {
  /** Every key in Redis begins with it. */
  readonly namespace: string;
  /** Null: limits are kept in this process alone. */
  readonly redis: GuardedRedis | null;
  /** How many processes share the limits. While there is no Redis, each holds itself to its part. 1 unless told. */
  readonly instances?: number;
  /** Milliseconds of a clock that never goes back. */
  readonly clock?: () => number;
  /** Told of every decision but those of `peek`, for counting. Must not throw. */
  readonly onDecision?: (decision: Decision) => void;
}

/**
 * Opens a rate limiter. It need not be closed; the connection belongs to who opened that.
 *
 * @throws TypeError when the namespace or the number of instances is not one
 */
export function openRateLimiter(options: RateLimiterOptions): RateLimiter {
  return new GcraRateLimiter(options);
}

class GcraRateLimiter implements RateLimiter {
  readonly #place: { readonly namespace: string; readonly instances: number };
  readonly #clock: () => number;
  readonly #onDecision: (decision: Decision) => void;
  readonly #tiers: Tiers;
  readonly #refusals: Refusals;
  readonly #chunks: Chunks;
  readonly #line: WaitingLine;

  constructor(options: RateLimiterOptions) {
    const { namespace, redis, instances = 1, clock = () => performance.now(), onDecision } = options;
    if (!/^[\w.:-]+$/.test(namespace)) throw new TypeError(`"${namespace}" cannot begin a key.`);
    if (!Number.isInteger(instances) || instances < 1) throw new TypeError("There is one instance at least.");
    this.#place = { namespace, instances };
    this.#clock = clock;
    this.#onDecision = onDecision ?? (() => undefined);
    this.#tiers = new Tiers({ redis, instances, clock });
    this.#refusals = new Refusals(clock);
    this.#chunks = new Chunks(clock);
    this.#line = new WaitingLine(clock);
  }

  async limit(limits: readonly Limit[]): Promise<Decision> {
    const charges = chargesOf(limits, this.#place);
    let decision = refuseForGood(charges) ?? this.#decideHere(charges);
    if (decision === null && isChunked(charges)) decision = await this.#askForChunks(charges);
    if (decision === null) {
      const shared = await this.#tiers.takeShared(charges, "take");
      decision = this.#conclude(shared ?? this.#tiers.takeHere(charges, "take"));
    }
    this.#onDecision(decision);
    return decision;
  }

  async peek(limits: readonly Limit[]): Promise<Decision> {
    const charges = chargesOf(limits, this.#place);
    return refuseForGood(charges) ?? decide(await this.#tiers.take(charges, "peek"), true);
  }

  async reserve(limits: readonly Limit[]): Promise<Reservation> {
    return await this.#reserve(limits, (charges) => this.#tiers.take(charges, "take"));
  }

  async wait(
    limits: readonly Limit[],
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<Reservation> {
    return await this.#reserve(limits, (charges) => this.#queue(charges, options.signal));
  }

  async block(limit: Limit, ms: number): Promise<boolean> {
    checkDuration(ms);
    const { key } = this.#charge(limit);
    this.#chunks.forget(key);
    return await this.#tiers.adjust([{ key, deltaMs: 0, blockMs: ms }]);
  }

  async reset(limit: Limit): Promise<boolean> {
    const { key } = this.#charge(limit);
    this.#chunks.forget(key);
    const isShared = await this.#tiers.forget(key);
    this.#freed(key);
    return isShared;
  }

  /** What is known without asking. */
  #decideHere(charges: readonly Charge[]): Decision | null {
    const decision = isChunked(charges) ? this.#chunks.spend(charges, "chunk") : null;
    return decision ?? this.#refusals.find(charges);
  }

  /** Takes a chunk, or waits for one that others take. Where none is to be had, the call asks for its own cost. */
  async #askForChunks(charges: readonly Charge[]): Promise<Decision> {
    for (let delivery = this.#chunks.delivery(charges); delivery !== null; ) {
      const judgement = await delivery;
      if (judgement === null) return this.#conclude(this.#tiers.takeHere(charges, "take"));
      if (judgement.verdict.waitMs > 0) return await this.#askForCosts(charges);
      const decision = this.#chunks.spend(charges, "chunk");
      if (decision !== null) return decision;
      delivery = this.#chunks.delivery(charges);
    }
    const order = this.#chunks.order(charges);
    if (this.#refusals.find(order) !== null) return await this.#askForCosts(charges);
    const judging = this.#tiers.takeShared(order, "take");
    const { judgement, decision } = await this.#chunks.deliver(charges, order, judging);
    if (decision !== null) return decision;
    if (judgement === null) return this.#conclude(this.#tiers.takeHere(charges, "take"));
    this.#conclude(judgement);
    return await this.#askForCosts(charges);
  }

  async #askForCosts(charges: readonly Charge[]): Promise<Decision> {
    return this.#refusals.find(charges) ?? this.#conclude(await this.#tiers.take(charges, "take"));
  }

  #conclude(judgement: Judgement): Decision {
    if (judgement.tier === "redis" && judgement.verdict.waitMs > 0) this.#refusals.remember(judgement);
    return decide(judgement);
  }

  async #reserve(
    limits: readonly Limit[],
    take: (charges: readonly Charge[]) => Promise<Judgement>,
  ): Promise<Reservation> {
    const charges = chargesOf(limits, this.#place);
    const names = charges.map(({ name }) => name);
    const impossible = refuseForGood(charges);
    if (impossible !== null) {
      this.#onDecision(impossible);
      return reservation(impossible, names, async () => undefined);
    }
    const judgement = await take(charges);
    const takenAt = this.#clock();
    const decision = decide(judgement);
    this.#onDecision(decision);
    return reservation(decision, names, (costs) => this.#settle(judgement, takenAt, costs));
  }

  /** Waits in line until the charges are taken. */
  async #queue(charges: readonly Charge[], signal: AbortSignal | undefined): Promise<Judgement> {
    const keys = charges.map(({ key }) => key);
    const place = new Place(charges, this.#tiers, this.#clock);
    try {
      const attempt = (isOvertaken: boolean) => place.attempt(isOvertaken);
      const judgement = await this.#line.wait({ keys, signal, attempt });
      if (signal?.aborted) {
        await this.#settle(
          judgement,
          this.#clock(),
          Object.fromEntries(charges.map(({ name }) => [name, 0])),
        );
        signal.throwIfAborted();
      }
      return judgement;
    } finally {
      await place.leave();
    }
  }

  async #settle(
    judgement: Judgement,
    takenAt: number,
    costs: Readonly<Record<string, number>>,
  ): Promise<void> {
    const ageMs = this.#clock() - takenAt;
    const changes: Adjustment[] = [];
    for (const charge of judgement.charges) {
      const difference = (costs[charge.name] ?? charge.cost) - charge.cost;
      const deltaMs = Math.min(difference * charge.unitMs, LONGEST_MS);
      const isDue = deltaMs > 0 || (deltaMs < 0 && ageMs <= charge.periodMs);
      if (isDue && !isWaived(charge)) changes.push({ key: charge.key, deltaMs, blockMs: 0 });
    }
    await this.#tiers.amend(judgement, changes);
    for (const { key, deltaMs } of changes) {
      if (deltaMs < 0) this.#freed(key);
    }
  }

  /** There is more of a limit than was said before. */
  #freed(key: string): void {
    this.#refusals.forget(key);
    this.#line.nudge(key);
  }

  #charge(limit: Limit): Charge {
    const [charge] = chargesOf([limit], this.#place);
    if (charge === undefined) throw new Error("A limit has a charge.");
    return charge;
  }
}

function isChunked(charges: readonly Charge[]): boolean {
  return charges.length > 0 && charges.every(({ chunk }) => chunk > 0);
}
