/** So much of something, for somebody, in a period; and what one call takes of it. */
export interface Limit {
  /** Of the policy, such as `writes`: letters, digits, `.`, `_` and `-`. No two limits of one call have the same. */
  readonly name: string;
  /** Whose: a user, an address, a model. */
  readonly key: string;
  /** Units in a period. More than this at once is refused for good. */
  readonly limit: number;
  readonly periodMs: number;
  /**
   * The share of the limit, from 0 to 1, that may be spent at once after a rest. 1 unless told. What costs more than the burst (and not
   * more than the limit) is let through when nothing is left to drain, and leaves debt.
   */
  readonly burst?: number;
  /** Units that the call takes. 1 unless told. */
  readonly cost?: number;
  /**
   * Takes so many units from Redis at once and spends them in this process, so that most calls need no round trip. Only in `limit`, and only if
   * all limits of the call have it. The burst pays for what processes may hold, so that no window gets more than without it;
   * where the burst is too small for that, the chunk shrinks, down to none. What is not spent within a period is lost.
   */
  readonly chunk?: number;
  /** While Redis is down: let everything through (`open`), or hold this process to its share of the limit (`local`, unless told). */
  readonly whenDown?: "open" | "local";
  /** Limits that are checked in one call have one group. The key unless told. A Redis Cluster keeps a group on one node. */
  readonly group?: string;
}

/** Where a limit stands after a call. */
export interface LimitState {
  readonly name: string;
  readonly limit: number;
  /** Units that can be spent at once now. */
  readonly remaining: number;
  /** Until the whole burst is there again, in milliseconds. */
  readonly resetMs: number;
}

/**
 * Who decided: `redis`, for all processes; `local`, this process without Redis; `denied-here`, this process, remembering what Redis said;
 * `chunk`, this process, out of units that it took from Redis before.
 */
export type DecidedBy = "redis" | "local" | "denied-here" | "chunk";

export interface Decision {
  readonly allowed: boolean;
  /** The limit that has to be waited for longest. Null when allowed. */
  readonly refusedBy: string | null;
  /** It costs more than the limit, so no waiting helps. */
  readonly never: boolean;
  /**
   * After so long the same call would pass if nobody else came; after so long at least, when it was refused without asking Redis. 0 when
   * allowed, infinite when never.
   */
  readonly retryAfterMs: number;
  /** In the order of the call, as far as they are known: not all of them need to be when it is refused without asking Redis. */
  readonly limits: readonly LimitState[];
  readonly tier: DecidedBy;
}

/** A decision about an estimated cost. */
export interface Reservation extends Decision, AsyncDisposable {
  /**
   * Says what the call cost really, by names of limits; what is not named cost what was estimated. The difference is given back, or becomes debt.
   * Only the first call of `settle` and `release` counts. Nothing is given back that was reserved longer than a period ago: what was
   * not used in one window is not there for the next.
   */
  settle(costs: Readonly<Record<string, number>>): Promise<void>;
  /** Gives back everything: the call was not made. Disposing of a reservation releases it, unless it was settled. */
  release(): Promise<void>;
}

/** Rate limits in Redis for all processes, and in this process while there is none. Nothing here rejects because of Redis, or waits for it longer than its time-out. */
export interface RateLimiter {
  /** Takes the costs of all limits, or of none. A refusal costs nothing. Refusals are remembered here for their time (5 s at most). */
  limit(limits: readonly Limit[]): Promise<Decision>;
  /** What `limit` would say, without taking anything. `limits` is as it stands now. */
  peek(limits: readonly Limit[]): Promise<Decision>;
  /** Like `limit` for costs that are estimates. Always asks Redis, as refusals may end early when others settle. */
  reserve(limits: readonly Limit[]): Promise<Reservation>;
  /**
   * Waits until the limits allow it: in the order of arrival among those in this process who wait for the same limit. Who is overtaken by other
   * processes holds a place that they respect, so that a large cost passes at last. Resolves at once if it will never be allowed.
   * Rejects with the reason of `signal` when that aborts.
   */
  wait(limits: readonly Limit[], options?: { readonly signal?: AbortSignal }): Promise<Reservation>;
  /** Lets nothing through for so long, but for chunks that processes hold already. False when only this process knows, as Redis is away. */
  block(limit: Limit, ms: number): Promise<boolean>;
  /** Makes the limit as good as new. False when only this process knows, as Redis is away. */
  reset(limit: Limit): Promise<boolean>;
}
