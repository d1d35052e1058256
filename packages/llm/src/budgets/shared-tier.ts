import { randomUUID } from "node:crypto";
import type { GuardedRedis } from "@mythic/shared/redis";
import { z } from "zod";
import type { Script } from "../flight/script.ts";
import { APPETITE } from "../upstream/appetite.ts";
import { COOL_DOWN, guessCoolDown } from "../upstream/cool-downs.ts";
import { BEAT, ENTER, REPORT, SETTLE } from "./gate-scripts.ts";
import { type Account, type Order, owes, reasonOf } from "./order.ts";
import { BUDGETS, type EndedCall, type Entry, type Settlement, type Sums, type Verdict } from "./tier.ts";

export interface SharedTierOptions {
  readonly redis: GuardedRedis;
  readonly namespace: string;
  readonly ceiling: number;
  readonly periodMs: number;
  readonly leaseMs: number;
}

/** Lua has no number for "more than anything". */
const BEYOND = 1e300;
/** Lengths of cool-downs that were not told, by how many there were in a row. */
const GUESSES = Array.from({ length: 8 }, (_, strikes) => guessCoolDown(strikes + 1));
const UP_TO_A_FIFTH_MORE = 0.2;

const replySchema = z.union([
  z.object({ at: z.coerce.number(), charged: z.number() }),
  z.object({ missing: z.array(z.int()), at: z.coerce.number() }),
  z.object({ account: z.int(), unit: z.enum(["tokens", "cost"]), final: z.boolean(), waitMs: z.number() }),
  z.object({ reason: z.enum(["cooling_down", "appetite", "rpm", "tpm"]), waitMs: z.number() }),
]);

/** The gate as all processes see it. Every function rejects when Redis is away; what it holds is then given up. */
export class SharedTier {
  readonly #options: SharedTierOptions;
  /** Accounts of which Redis does not know all. */
  readonly #doubted = new Set<string>();
  readonly #open = new Set<string>();
  #process = randomUUID();
  #calls = 0;
  #heartbeat: NodeJS.Timeout | null = null;

  constructor(options: SharedTierOptions) {
    this.#options = options;
  }

  get isAway(): boolean {
    return this.#options.redis.breaker.state !== "closed";
  }

  /** On which processes tell each other of cool-downs. */
  get channel(): string {
    return `${this.#options.namespace}:cool-down`;
  }

  /** This process spent of these accounts what Redis does not know. */
  doubt(accounts: readonly Account[]): void {
    for (const { key } of accounts) this.#doubted.add(key);
  }

  async enter(order: Order, sums: Sums): Promise<{ readonly verdict: Verdict; readonly id: string }> {
    this.#calls += 1;
    const id = `${this.#process}.${this.#calls}`;
    // Before the reply, as Redis counts the call from the moment that it lets it in.
    this.#holds(id);
    const reply = await this.#run(ENTER, order, {
      ...{
        id,
        ceiling: this.#options.ceiling,
        start: APPETITE.start,
        inUse: APPETITE.inUse,
        latencyMs: APPETITE.latencyMs,
      },
      ...{ periodMs: this.#options.periodMs, burst: BUDGETS.burst, meters: order.meters },
      ...{ graceMs: BUDGETS.graceMs, reloadMs: BUDGETS.reloadMs, freshMs: BUDGETS.freshMs },
      ...withoutNulls(order.estimate),
      accounts: order.accounts.map((account) => this.#accountFor(account, sums)),
    });
    const verdict = verdictOf(replySchema.parse(JSON.parse(String(reply))), order);
    for (const { key } of order.accounts) if (sums.has(key)) this.#doubted.delete(key);
    if (verdict.kind !== "open") this.#letsGo(id);
    return { verdict, id };
  }

  /** Gives for how long the lane is closed, in milliseconds. */
  async report({ id, order, enteredAt }: Entry, ended: EndedCall): Promise<number> {
    const { end, share, rooms, latencyMs, tokens, coolDown } = ended;
    const { cut, floor, scarce, weight, memory, start } = APPETITE;
    const jitter = 1 + Math.random() * UP_TO_A_FIFTH_MORE;
    const reply = await this.#run(
      REPORT,
      { ...order, accounts: [] },
      {
        ...{ id, enteredAt, end, cut, floor, scarce, weight, memory, start },
        ...{ ceiling: this.#options.ceiling, latency: latencyMs, channel: this.channel, lane: order.lane },
        ...(share === null ? {} : { share }),
        ...(tokens === null ? {} : { used: tokens }),
        ...(rooms.length === 0 ? {} : { rooms }),
        estimated: Math.max(1, order.estimate.tokens),
        ...(typeof coolDown === "number" ? { coolMs: Math.min(coolDown, COOL_DOWN.longestMs) } : {}),
        ...(coolDown === "guess" ? { guesses: GUESSES.map((ms) => ms * jitter) } : {}),
      },
      // Others wait for a place, or must hear of trouble at once; who was let in waits only for what is to be settled.
      { isUrgent: end !== "well" || owes(order) },
    );
    return Number(reply);
  }

  async settle({ id, order }: Entry, settlement: Settlement, wasReported: boolean): Promise<void> {
    this.#letsGo(id);
    // Its report took it off the lane.
    if (wasReported && !owes(order)) return;
    const { refunds, tokens, cost } = settlement;
    const refundsMs = order.meters.map(({ name, limit }) => [
      name,
      (Math.max(Math.min(refunds[name], limit), -limit) * this.#options.periodMs) / limit,
    ]);
    await this.#run(SETTLE, order, {
      ...withoutNulls({ tokens, cost }),
      id,
      refundsMs: Object.fromEntries(refundsMs),
    });
  }

  stop(): void {
    if (this.#heartbeat !== null) clearInterval(this.#heartbeat);
  }

  async #run(
    script: Script,
    order: Order | null,
    ask: object,
    options?: { readonly isUrgent: boolean },
  ): Promise<unknown> {
    const { redis, leaseMs } = this.#options;
    const of = this.#process;
    try {
      return await redis.run(
        (connection) =>
          script(connection, this.#keys(order), [JSON.stringify({ ...ask, leaseMs, process: of })]),
        options,
      );
    } catch (error) {
      // What the script did nobody knows. As someone new, this process owes nothing: what it held lapses with its lease.
      if (this.#process === of) this.#becomeNew();
      throw error;
    }
  }

  #becomeNew(): void {
    this.#process = randomUUID();
    this.#open.clear();
  }

  /** All in one slot of a Cluster, as one script looks at them. */
  #keys(order: Order | null): string[] {
    const prefix = `${this.#options.namespace}:{gate}:`;
    const alive = `${prefix}alive`;
    if (order === null) return [alive];
    const accounts = order.accounts.map(({ key }) => prefix + key);
    return [alive, `${prefix}lane:${order.lane}`, `${prefix}meters:${order.upstream}`, ...accounts];
  }

  #accountFor({ key, limits, resetMs }: Account, sums: Sums): object {
    const sum = sums.get(key);
    return {
      ...withoutNulls(limits),
      ...(resetMs === null ? {} : { resetMs }),
      ...(sum === undefined ? {} : { sum: { ...sum, cost: Math.min(sum.cost, BEYOND) } }),
      ...(sum === undefined && this.#doubted.has(key) ? { doubted: true } : {}),
    };
  }

  #holds(id: string): void {
    this.#open.add(id);
    this.#heartbeat ??= setInterval(() => this.#beat(), this.#options.leaseMs / 3).unref();
  }

  #letsGo(id: string): void {
    this.#open.delete(id);
    if (this.#open.size > 0 || this.#heartbeat === null) return;
    clearInterval(this.#heartbeat);
    this.#heartbeat = null;
  }

  #beat(): void {
    if (this.isAway) this.#becomeNew();
    else this.#run(BEAT, null, {}).catch(() => undefined);
  }
}

function verdictOf(reply: z.infer<typeof replySchema>, order: Order): Verdict {
  if ("missing" in reply) {
    const accounts = reply.missing.map((place) => accountAt(order, place));
    return { kind: "load", accounts, at: reply.at };
  }
  if ("charged" in reply) return { kind: "open", enteredAt: reply.at, charged: reply.charged };
  if ("reason" in reply) return { kind: "closed", ...reply, final: false };
  const { account, unit, final, waitMs } = reply;
  return { kind: "closed", reason: reasonOf(accountAt(order, account), unit), waitMs, final };
}

/** Lua counts from 1. */
function accountAt({ accounts }: Order, place: number): Account {
  const account = accounts[place - 1];
  if (account === undefined) throw new Error("Redis speaks of an account that it was not asked about.");
  return account;
}

/** What is not there is nothing in Lua; null would be something. */
function withoutNulls(values: Readonly<Record<string, number | null>> | object): object {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null));
}
