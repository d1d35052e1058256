import type { Room } from "../upstream/rate-headers.ts";
import type { Account, CallCost, ClosedReason, Order } from "./order.ts";

/**
 * | Number | Value | Why |
 * |---|---|---|
 * | `burst` | 10 % | of a limit may come at once after a rest: a window then holds 1.1 × the limit at most, or the limit and the largest call |
 * | `graceMs` | 10,000 | a call has its row in the ledger this long after it was let in: twice what a frozen store may take |
 * | `reloadMs` | 300,000 | sums are read from the ledger anew, whatever else happened |
 * | `freshMs` | 1,000 | before an account refuses, its sum is read anew unless it is younger than this |
 * | `leaseMs` | 15,000 | a process that was not heard of for so long is dead, and holds nothing any more |
 */
export const BUDGETS = {
  burst: 0.1,
  graceMs: 10_000,
  reloadMs: 300_000,
  freshMs: 1_000,
  leaseMs: 15_000,
} as const;

/** What the ledger says that an account has spent, calls on their way at their most. */
export interface Sum {
  readonly tokens: number;
  /** Infinite: a price in it is not known. */
  readonly cost: number;
  /** When it was asked, in the milliseconds of who wanted it. */
  readonly at: number;
}

export type Sums = ReadonlyMap<string, Sum>;

export type Verdict =
  | { readonly kind: "open"; readonly enteredAt: number; readonly charged: number }
  | {
      readonly kind: "closed";
      readonly reason: ClosedReason;
      readonly waitMs: number;
      /** No waiting helps. */
      readonly final: boolean;
    }
  /** Sums of these accounts are needed first. */
  | { readonly kind: "load"; readonly accounts: readonly Account[]; readonly at: number };

/** A call that was let in. */
export interface Entry {
  readonly id: string;
  readonly order: Order;
  readonly enteredAt: number;
  /** Tokens that the meter was charged: what is expected of the estimate. */
  readonly charged: number;
}

/** How a call ended, as far as it matters to others. */
export interface EndedCall {
  readonly end: "well" | "overloaded" | "otherwise";
  /** What is left by the endpoint's headers, from 0 to 1. */
  readonly share: number | null;
  /** The same in calls and tokens. */
  readonly rooms: readonly Room[];
  readonly latencyMs: number;
  /** What it came to; null: not told. */
  readonly tokens: number | null;
  readonly coolDown: number | "guess" | null;
}

export interface Settlement extends CallCost {
  /** How much of the charge of each meter is given back (or, below 0, is owed), in units. */
  readonly refunds: Readonly<Record<"rpm" | "tpm", number>>;
}
