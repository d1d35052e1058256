import { APPETITE, type Appetite, digest } from "../upstream/appetite.ts";
import { guessCoolDown } from "../upstream/cool-downs.ts";
import { type Account, type Order, reasonOf } from "./order.ts";
import {
  BUDGETS,
  type EndedCall,
  type Entry,
  type Settlement,
  type Sum,
  type Sums,
  type Verdict,
} from "./tier.ts";

export interface LocalTierOptions {
  /** How many processes share the limits without hearing of each other. */
  readonly instances: number;
  readonly ceiling: number;
  readonly periodMs: number;
  /** There will be others to ask later, who may know of room that is not seen here. */
  readonly isStandIn: boolean;
  /** Milliseconds that never go back. */
  readonly clock: () => number;
}

interface Lane {
  appetite: Appetite;
  /** When each was let in. */
  readonly onWay: Map<string, number>;
  /** As the endpoint told, less the calls since. */
  room: {
    readonly left: number;
    readonly at: number;
    readonly refillMs: number;
    readonly toldBy: number;
  } | null;
  /** When half of the limit or more was last in use. */
  inUseAt: number;
  latencyMs: number;
  used: number;
  estimated: number;
  strikes: number;
  cooledAt: number;
  coolUntil: number;
  turn: number;
}

interface MeterState {
  drainedAt: number;
  largestMs: number;
  largestAt: number;
}

interface Ledgered {
  sum: Sum;
  settledAt: number;
  readonly held: Map<string, { readonly tokens: number; readonly cost: number; readonly at: number }>;
}

/** Of each map; the oldest that holds no call is forgotten. Names of models come from callers. */
const MOST = 1_000;

/**
 * The gate as one process alone sees it: what `gate-scripts.ts` does, for its part of the limits. Of money the ledger is asked each time that a
 * second has passed, as it knows what the others spend.
 */
export class LocalTier {
  readonly #options: LocalTierOptions;
  readonly #lanes = new Map<string, Lane>();
  readonly #meters = new Map<string, MeterState>();
  readonly #accounts = new Map<string, Ledgered>();
  #calls = 0;

  constructor(options: LocalTierOptions) {
    this.#options = options;
  }

  enter(order: Order, sums: Sums): { readonly verdict: Verdict; readonly id: string } {
    this.#calls += 1;
    const id = `here.${this.#calls}`;
    return { id, verdict: this.#busy(order) ?? this.#poor(order, sums) ?? this.#letIn(order, id) };
  }

  /** Gives for how long the lane is closed, in milliseconds. */
  report({ id, order, enteredAt }: Entry, ended: EndedCall): number {
    const lane = this.#lane(order.lane);
    const now = this.#options.clock();
    const { end, share, latencyMs, tokens, coolDown } = ended;
    const wasInUse = lane.inUseAt >= enteredAt;
    this.#makeRoom(lane, { enteredAt, order }, ended);
    lane.onWay.delete(id);
    if (end === "well") {
      lane.appetite = digest(lane.appetite, { kind: "well", share, wasInUse }, this.#ceiling);
      lane.strikes = 0;
      lane.latencyMs += (latencyMs - lane.latencyMs) * APPETITE.weight;
      if (tokens !== null) learn(lane, tokens, Math.max(1, order.estimate.tokens));
    } else if (end === "overloaded") {
      if (enteredAt > lane.appetite.cutAt) lane.used = Math.min(lane.used * 2, lane.estimated);
      lane.appetite = digest(lane.appetite, { kind: "overloaded", enteredAt, now }, this.#ceiling);
    }
    if (typeof coolDown === "number") this.#coolDown(lane, now, coolDown);
    else if (coolDown === "guess" && enteredAt > lane.cooledAt) {
      lane.strikes += 1;
      this.#coolDown(lane, now, guessCoolDown(lane.strikes));
    }
    return Math.max(0, lane.coolUntil - now);
  }

  settle({ id, order }: Entry, { tokens, cost, refunds }: Settlement): void {
    this.#lane(order.lane).onWay.delete(id);
    const now = this.#options.clock();
    for (const { name, limit } of order.meters) {
      const state = this.#meter(order, name);
      state.drainedAt = Math.max(state.drainedAt, now) - refunds[name] * this.#unitMs(limit);
    }
    for (const { key } of order.accounts) {
      const account = this.#accounts.get(key);
      const held = account?.held.get(id);
      if (account === undefined || held === undefined) continue;
      account.held.delete(id);
      account.settledAt = now;
      account.sum = {
        ...account.sum,
        tokens: account.sum.tokens + tokens,
        cost: account.sum.cost + (cost ?? held.cost),
      };
    }
  }

  /** What the endpoint has no room for. */
  #busy(order: Order): Verdict | null {
    const lane = this.#lane(order.lane);
    const now = this.#options.clock();
    const limit = Math.min(lane.appetite.limit, this.#ceiling);
    const eachMs = lane.latencyMs / limit;
    const refusals: {
      reason: "cooling_down" | "appetite" | "rpm" | "tpm";
      waitMs: number;
      apartMs: number;
      /** Turns are given for so long ahead; for a period unless told. */
      withinMs?: number;
    }[] = [];
    if (lane.coolUntil > now) {
      refusals.push({ reason: "cooling_down", waitMs: lane.coolUntil - now, apartMs: eachMs });
    }
    if (lane.onWay.size >= Math.floor(limit)) {
      // After a round there may be room for twice as many, which nobody should sleep through.
      const withinMs = Math.max(lane.latencyMs, APPETITE.latencyMs);
      refusals.push({ reason: "appetite", waitMs: eachMs, apartMs: eachMs, withinMs });
    }
    if (lane.room !== null && lane.room.refillMs > 0) {
      const { left, at, refillMs } = lane.room;
      const missing = 1 - left - (now - at) / refillMs;
      if (missing > 0) refusals.push({ reason: "appetite", waitMs: missing * refillMs, apartMs: refillMs });
    }
    for (const { name, limit: most } of order.meters) {
      const { backlogMs, chargeMs, slackMs } = this.#charge(order, name, most);
      if (backlogMs > slackMs) {
        refusals.push({ reason: name, waitMs: backlogMs - slackMs, apartMs: chargeMs });
      }
    }
    const [longest] = refusals.sort((left, right) => right.waitMs - left.waitMs);
    if (longest === undefined) return null;
    const { periodMs } = this.#options;
    const { reason, waitMs, apartMs, withinMs = periodMs } = longest;
    const latest = now + waitMs + Math.min(withinMs, periodMs);
    const turn = Math.min(Math.max(lane.turn, now + waitMs), latest);
    lane.turn = turn + apartMs;
    return { kind: "closed", reason, waitMs: turn - now, final: false };
  }

  /** What user or run may not spend. */
  #poor(order: Order, sums: Sums): Verdict | null {
    const unaffordable =
      order.accounts.map((account) => unaffordableOf(account, order)).find(Boolean) ?? null;
    if (unaffordable !== null) return { kind: "closed", reason: unaffordable, waitMs: 0, final: true };
    const now = this.#options.clock();
    for (const [key, sum] of sums) this.#remember(key, sum);
    const missing = order.accounts.filter(({ key }) => {
      const sum = this.#accounts.get(key)?.sum;
      return sum === undefined || now - sum.at > BUDGETS.freshMs;
    });
    if (missing.length > 0) return { kind: "load", accounts: missing, at: now };
    const refusals = order.accounts
      .map((account) => this.#refusal(account, order, sums.has(account.key)))
      .filter((refusal) => refusal !== null);
    return refusals.find(({ final }) => final) ?? refusals[0] ?? null;
  }

  #remember(key: string, sum: Sum): void {
    const before = this.#accounts.get(key);
    if (before === undefined) prune(this.#accounts, ({ held }) => held.size === 0);
    this.#accounts.set(key, { settledAt: 0, held: new Map(), ...before, sum });
  }

  #refusal(
    account: Account,
    { estimate }: Order,
    isFresh: boolean,
  ): Extract<Verdict, { kind: "closed" }> | null {
    const { instances, isStandIn } = this.#options;
    const row = this.#accounts.get(account.key);
    if (row === undefined) return null;
    // The ledger has had the row of a call since soon after it was let in.
    const held = [...row.held.values()].filter(({ at }) => at >= row.sum.at - BUDGETS.graceMs);
    for (const unit of ["tokens", "cost"] as const) {
      const most = account.limits[unit];
      const wants = estimate[unit] ?? 0;
      const holds = held.reduce((total, call) => total + call[unit], 0);
      if (most === null || row.sum[unit] + (holds + wants) * instances <= most) continue;
      const isSpent = row.sum[unit] + wants * (isStandIn ? 1 : instances) > most;
      const final =
        isSpent && account.resetMs === null && isFresh && held.length === 0 && row.settledAt < row.sum.at;
      const waitMs = isSpent && account.resetMs !== null ? account.resetMs : BUDGETS.freshMs;
      return { kind: "closed", reason: reasonOf(account, unit), waitMs, final };
    }
    return null;
  }

  #letIn(order: Order, id: string): Verdict {
    const now = this.#options.clock();
    const lane = this.#lane(order.lane);
    lane.onWay.set(id, now);
    if (lane.onWay.size >= lane.appetite.limit * APPETITE.inUse) lane.inUseAt = now;
    if (lane.room !== null) lane.room = { ...lane.room, left: lane.room.left - 1 };
    for (const { name, limit } of order.meters) {
      const { backlogMs, chargeMs, largestMs } = this.#charge(order, name, limit);
      const state = this.#meter(order, name);
      state.drainedAt = now + backlogMs + chargeMs;
      if (chargeMs >= largestMs) [state.largestMs, state.largestAt] = [chargeMs, now];
    }
    const { tokens, cost } = order.estimate;
    for (const { key } of order.accounts) {
      this.#accounts.get(key)?.held.set(id, { tokens, cost: cost ?? 0, at: now });
    }
    return { kind: "open", enteredAt: now, charged: this.#expected(order) };
  }

  #charge(order: Order, name: "rpm" | "tpm", limit: number) {
    const { clock, periodMs } = this.#options;
    const now = clock();
    const { drainedAt, largestMs: past, largestAt } = this.#meter(order, name);
    const units = name === "tpm" ? this.#expected(order) : 1;
    const chargeMs = Math.min(units, limit) * this.#unitMs(limit);
    const largestMs = now - largestAt < 2 * periodMs ? Math.max(past, chargeMs) : chargeMs;
    const slackMs = Math.max(BUDGETS.burst * periodMs - largestMs, 0);
    return { backlogMs: Math.max(drainedAt - now, 0), chargeMs, largestMs, slackMs };
  }

  /** In which one unit of this process's part drains. */
  #unitMs(limit: number): number {
    return (this.#options.periodMs / limit) * this.#options.instances;
  }

  #expected({ lane: name, estimate }: Order): number {
    const { used, estimated } = this.#lane(name);
    return Math.max(1, estimate.tokens * (estimated === 0 ? 1 : Math.min(1, used / estimated)));
  }

  get #ceiling(): number {
    return Math.max(1, this.#options.ceiling / this.#options.instances);
  }

  #makeRoom(
    lane: Lane,
    { enteredAt, order }: Pick<Entry, "enteredAt" | "order">,
    { rooms }: EndedCall,
  ): void {
    if (rooms.length === 0 || enteredAt < (lane.room?.toldBy ?? Number.NEGATIVE_INFINITY)) return;
    const { instances, clock } = this.#options;
    const mean = lane.estimated === 0 ? Math.max(1, order.estimate.tokens) : lane.used;
    const calls = rooms.map(({ unit, left, unitMs }) => {
      const each = unit === "tokens" ? mean : 1;
      return { left: left / each / instances, refillMs: unitMs * each * instances };
    });
    const [least] = calls.sort((one, other) => one.left - other.left);
    if (least === undefined) return;
    // The endpoint may not have known of them yet.
    const later = [...lane.onWay.values()].filter((at) => at > enteredAt).length;
    lane.room = { ...least, left: least.left - later, at: clock(), toldBy: enteredAt };
  }

  #coolDown(lane: Lane, now: number, ms: number): void {
    lane.cooledAt = now;
    lane.coolUntil = Math.max(lane.coolUntil, now + ms);
  }

  #lane(name: string): Lane {
    const known = this.#lanes.get(name);
    if (known !== undefined) return known;
    prune(this.#lanes, ({ onWay }) => onWay.size === 0);
    const never = Number.NEGATIVE_INFINITY;
    const limit = Math.min(Math.max(1, APPETITE.start / this.#options.instances), this.#ceiling);
    const lane: Lane = {
      appetite: { limit, isDoubling: true, cutAt: never },
      ...{ onWay: new Map(), room: null, latencyMs: APPETITE.latencyMs, used: 0, estimated: 0 },
      ...{ strikes: 0, inUseAt: never, cooledAt: never, coolUntil: never, turn: never },
    };
    this.#lanes.set(name, lane);
    return lane;
  }

  #meter({ upstream }: Order, name: "rpm" | "tpm"): MeterState {
    const key = `${name}:${upstream}`;
    const never = Number.NEGATIVE_INFINITY;
    const state = this.#meters.get(key) ?? { drainedAt: never, largestMs: 0, largestAt: never };
    this.#meters.set(key, state);
    return state;
  }
}

/** What no waiting makes room for: more than the limit by itself, or an unknown price under a limit of money. */
function unaffordableOf(account: Account, { estimate }: Order) {
  for (const unit of ["tokens", "cost"] as const) {
    const most = account.limits[unit];
    const wants = estimate[unit];
    if (most !== null && (wants === null || wants > most)) return reasonOf(account, unit);
  }
  return null;
}

function learn(lane: Lane, used: number, estimated: number): void {
  if (lane.estimated === 0) [lane.used, lane.estimated] = [used, estimated];
  lane.used += (used - lane.used) * APPETITE.memory;
  lane.estimated += (estimated - lane.estimated) * APPETITE.memory;
}

function prune<Value>(map: Map<string, Value>, isIdle: (value: Value) => boolean): void {
  if (map.size < MOST) return;
  for (const [key, value] of map) {
    if (!isIdle(value)) continue;
    map.delete(key);
    return;
  }
}
