import { setTimeout as pause } from "node:timers/promises";
import type { GuardedRedis } from "@mythic/shared/redis";
import type { Ledger } from "../ledger.ts";
import { CoolDowns, coolDownOf, isOverload } from "../upstream/cool-downs.ts";
import type { UpstreamResult } from "../upstream/endpoint.ts";
import { leastShare, roomsOf } from "../upstream/rate-headers.ts";
import { LocalTier } from "./local-tier.ts";
import {
  type Account,
  type CallCost,
  type ClosedReason,
  type GateCall,
  type Order,
  orderOf,
  owes,
} from "./order.ts";
import { SharedTier } from "./shared-tier.ts";
import {
  BUDGETS,
  type EndedCall,
  type Entry,
  type Settlement,
  type Sum,
  type Sums,
  type Verdict,
} from "./tier.ts";

/** A call that was let in. Whatever becomes of it, it is settled or released. */
export interface Admission {
  readonly kind: "open";
  /** Milliseconds for which the model cools down since another call was told to wait: one that was not sent yet should not be. */
  coolingMs(): number;
  /** The call has ended: others may be let in, more or fewer of them, or none for a while. Once; not if it was never sent. */
  report(result: UpstreamResult): void;
  /** What it came to, after that is in the ledger. Only the first of `settle` and `release` counts. Never rejects. */
  settle(actual: CallCost): Promise<void>;
  /** It came to nothing: it was not sent, or is surely not charged for. */
  release(): Promise<void>;
}

export interface Closed {
  readonly kind: "closed";
  readonly reason: ClosedReason;
  /** Then to ask again. Different for each who asks, so that they do not come back all at once. */
  readonly retryAfterMs: number;
  /** No waiting helps: the call costs more than its limit, or its run has spent all that it may. */
  readonly final: boolean;
}

/** Lets calls out to the models, as far as these, the limits of their accounts, and those of users and runs allow. */
export interface Gate {
  /**
   * Looks at everything at once, and takes of all or of none. Waits a quarter of a second at most.
   *
   * @throws what the ledger throws, where a sum is needed that it alone has; the reason of the call's signal
   */
  enter(call: GateCall): Promise<Admission | Closed>;
  /** What is held lapses. */
  close(): Promise<void>;
}

export interface GateOptions {
  /** Null: this process alone, or each of `instances` for itself. */
  readonly redis: GuardedRedis | null;
  /** Every key in Redis begins with it. */
  readonly namespace: string;
  /** What is spent, as the truth: `spent` of a run, `spentOn` a day by a user. */
  readonly ledger: Pick<Ledger, "spent" | "spentOn">;
  /** How many processes share the limits, for while they do not hear of each other. 1 unless told. */
  readonly instances?: number;
  /** The most calls to one model at once, all processes together. 64 unless told. */
  readonly ceiling?: number;
  /** Of limits per minute. */
  readonly periodMs?: number;
  /** After which a process that is not heard of holds nothing any more. */
  readonly leaseMs?: number;
  readonly now?: () => Date;
  /** Milliseconds that never go back. */
  readonly clock?: () => number;
}

/** Longer waits are for whoever can do something else meanwhile. */
const PATIENCE_MS = 250;
/** Asking for sums again and again, because they change faster than they are read, ends somewhere. */
const MOST_LOADS = 4;
/** In milliseconds: those who are told by their own process when a cool-down ends come back over this time. */
const SPREAD_MS = 1_000;

export function openGate(options: GateOptions): Gate {
  return new TieredGate(options);
}

class TieredGate implements Gate {
  readonly #ledger: GateOptions["ledger"];
  readonly #now: () => Date;
  readonly #clock: () => number;
  readonly #periodMs: number;
  readonly #shared: SharedTier | null;
  readonly #local: LocalTier;
  readonly #coolDowns: CoolDowns;

  constructor(options: GateOptions) {
    const { redis, namespace, ledger, instances = 1, ceiling = 64, periodMs = 60_000 } = options;
    const { leaseMs = BUDGETS.leaseMs, now = () => new Date(), clock = () => performance.now() } = options;
    if (!(ceiling >= 1)) throw new TypeError("One call at once is the least ceiling.");
    this.#ledger = ledger;
    this.#now = now;
    this.#clock = clock;
    this.#periodMs = periodMs;
    this.#coolDowns = new CoolDowns(clock);
    this.#local = new LocalTier({ instances, ceiling, periodMs, isStandIn: redis !== null, clock });
    this.#shared = redis === null ? null : new SharedTier({ redis, namespace, ceiling, periodMs, leaseMs });
    if (redis !== null && this.#shared !== null) this.#coolDowns.listen(redis.address, this.#shared.channel);
  }

  async enter(call: GateCall): Promise<Admission | Closed> {
    const order = orderOf(call, this.#now());
    const until = this.#clock() + PATIENCE_MS;
    for (;;) {
      call.signal?.throwIfAborted();
      const answer = await this.#ask(order);
      if (answer.kind === "open") {
        if (call.signal?.aborted) await answer.release();
        call.signal?.throwIfAborted();
        return answer;
      }
      if (answer.final || this.#clock() + answer.retryAfterMs > until) return answer;
      await pause(answer.retryAfterMs, undefined, { signal: call.signal }).catch(() => undefined);
    }
  }

  async close(): Promise<void> {
    this.#shared?.stop();
    await this.#coolDowns.stop();
  }

  async #ask(order: Order): Promise<Admission | Closed> {
    const coolingMs = this.#coolDowns.leftMs(order.lane);
    if (coolingMs > 0)
      return closed("cooling_down", coolingMs + Math.random() * Math.min(SPREAD_MS, coolingMs));
    let sums: Sums = new Map();
    for (let loads = 0; ; loads += 1) {
      const { tier, id, verdict } = await this.#judge(order, sums);
      if (verdict.kind === "open") return new LetIn(this.#parts, tier, { id, order, ...verdict });
      if (verdict.kind === "closed") return this.#refuse(order, verdict);
      if (loads === MOST_LOADS) return closed("max_cost", PATIENCE_MS);
      sums = await this.#load(verdict.accounts, verdict.at);
    }
  }

  get #parts(): Parts {
    const { shared, local } = { shared: this.#shared, local: this.#local };
    return { shared, local, coolDowns: this.#coolDowns, clock: this.#clock, periodMs: this.#periodMs };
  }

  /** Redis away means that this process decides, for its part. */
  async #judge(order: Order, sums: Sums) {
    if (this.#shared !== null && !this.#shared.isAway) {
      try {
        return { tier: "shared" as const, ...(await this.#shared.enter(order, sums)) };
      } catch {
        // Its breaker knows why.
      }
    }
    this.#shared?.doubt(order.accounts);
    return { tier: "local" as const, ...this.#local.enter(order, sums) };
  }

  #refuse(order: Order, { reason, waitMs, final }: Extract<Verdict, { kind: "closed" }>): Closed {
    if (reason === "cooling_down") this.#coolDowns.close(order.lane, waitMs);
    return closed(reason, waitMs, final);
  }

  async #load(accounts: readonly Account[], at: number): Promise<Sums> {
    const sums = accounts.map(async ({ key, of }): Promise<[string, Sum]> => {
      if ("runId" in of) {
        const { cost } = await this.#ledger.spent(of.user, of.runId);
        return [key, { tokens: 0, cost: cost ?? Number.POSITIVE_INFINITY, at }];
      }
      const { tokens, cost } = await this.#ledger.spentOn(of.user, of.day);
      return [key, { tokens, cost, at }];
    });
    return new Map(await Promise.all(sums));
  }
}

function closed(reason: ClosedReason, waitMs: number, final = false): Closed {
  return { kind: "closed", reason, retryAfterMs: Math.ceil(waitMs), final };
}

interface Parts {
  readonly shared: SharedTier | null;
  readonly local: LocalTier;
  readonly coolDowns: CoolDowns;
  readonly clock: () => number;
  readonly periodMs: number;
}

class LetIn implements Admission {
  readonly kind = "open";
  readonly #parts: Parts;
  readonly #tier: "shared" | "local";
  readonly #entry: Entry;
  readonly #since: number;
  #isReported = false;
  #isSettled = false;
  /** One after the other: what is settled was reported before. */
  #told: Promise<void> = Promise.resolve();

  constructor(parts: Parts, tier: "shared" | "local", entry: Entry) {
    this.#parts = parts;
    this.#tier = tier;
    this.#entry = entry;
    this.#since = parts.clock();
  }

  coolingMs(): number {
    return this.#parts.coolDowns.leftMs(this.#entry.order.lane);
  }

  report(result: UpstreamResult): void {
    if (this.#isReported) return;
    this.#isReported = true;
    const ended = endedCall(result);
    const { lane } = this.#entry.order;
    // Here at once; the others hear of it from Redis.
    if (typeof ended.coolDown === "number") this.#parts.coolDowns.close(lane, ended.coolDown);
    this.#told = this.#tell(ended).then((leftMs) => {
      if (leftMs > 0) this.#parts.coolDowns.close(lane, leftMs);
    });
  }

  settle(actual: CallCost): Promise<void> {
    const { charged } = this.#entry;
    return this.#settle({ ...actual, refunds: { rpm: 0, tpm: this.#isDue(charged - actual.tokens) } });
  }

  release(): Promise<void> {
    const refunds = { rpm: this.#isReported ? 0 : this.#isDue(1), tpm: this.#isDue(this.#entry.charged) };
    return this.#settle({ tokens: 0, cost: 0, refunds });
  }

  /** What was not used in one period is not there for the next. */
  #isDue(refund: number): number {
    return refund > 0 && this.#parts.clock() - this.#since > this.#parts.periodMs ? 0 : refund;
  }

  async #tell(ended: EndedCall): Promise<number> {
    const { shared, local } = this.#parts;
    // Entered by the clock of this process; that of Redis is another.
    const here = { ...this.#entry, enteredAt: this.#since };
    if (this.#tier === "local" || shared === null) return local.report(here, ended);
    return await shared.report(this.#entry, ended).catch(() => local.report(here, ended));
  }

  async #settle(settlement: Settlement): Promise<void> {
    if (this.#isSettled) return;
    this.#isSettled = true;
    // Nobody waits to hear that nothing is owed.
    if (owes(this.#entry.order)) await this.#told;
    const { shared, local } = this.#parts;
    if (this.#tier === "local" || shared === null) return local.settle(this.#entry, settlement);
    const told = shared.settle(this.#entry, settlement, this.#isReported);
    await told.catch(() => shared.doubt(this.#entry.order.accounts));
  }
}

function endedCall(result: UpstreamResult): EndedCall {
  const { latencyMs, limits } = result;
  const said = { share: leastShare(limits), rooms: roomsOf(limits), latencyMs };
  if (result.kind === "answered") {
    const { usage } = result.completion;
    const tokens = usage === null ? null : usage.inputTokens + usage.outputTokens;
    return { ...said, end: "well", tokens, coolDown: null };
  }
  const { status, retryAfterMs, error } = result;
  const isOverloaded = isOverload(status) || error.code === "model_timeout";
  const coolDown = coolDownOf(status, retryAfterMs);
  return { ...said, end: isOverloaded ? "overloaded" : "otherwise", tokens: null, coolDown };
}
