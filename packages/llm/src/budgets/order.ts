import type { UpstreamLimits } from "../upstream/upstreams.ts";

/** What a call may come to, or has come to. */
export interface CallCost {
  readonly tokens: number;
  /** Nano-dollars; null: the price is not known. */
  readonly cost: number | null;
}

/** A call that wants to be let in. */
export interface GateCall {
  readonly upstream: { readonly name: string; readonly limits: UpstreamLimits };
  readonly model: string;
  readonly user: string;
  /** Null: it belongs to no run. */
  readonly runId: string | null;
  /** The most that it can come to. */
  readonly estimate: CallCost;
  /** What the user may use up on a day (UTC). Null: anything. */
  readonly userLimits?:
    | { readonly tokensPerDay: number | null; readonly costPerDay: number | null }
    | undefined;
  /** What the run may spend, in nano-dollars. Null: anything. */
  readonly maxCost: number | null;
  /** Ends the wait for a gate that opens soon. */
  readonly signal?: AbortSignal | undefined;
}

export type ClosedReason =
  | "cooling_down"
  | "appetite"
  | "rpm"
  | "tpm"
  | "user_tokens"
  | "user_money"
  | "max_cost";

/** What an upstream takes of something in a period. */
interface Meter {
  readonly name: "rpm" | "tpm";
  readonly limit: number;
}

/** What a user or a run may use up, and how to find out what it did. */
export interface Account {
  readonly key: string;
  readonly limits: { readonly tokens: number | null; readonly cost: number | null };
  readonly of:
    | { readonly user: string; readonly day: string }
    | { readonly user: string; readonly runId: string };
  /** Until it begins anew, in milliseconds; null: never. */
  readonly resetMs: number | null;
}

/** What has to be looked at, all at once, before a call is let in. */
export interface Order {
  /** Of appetite and cool-down: one model of one upstream. */
  readonly lane: string;
  /** Whose meters. */
  readonly upstream: string;
  readonly meters: readonly Meter[];
  readonly accounts: readonly Account[];
  readonly estimate: CallCost;
}

const DAY_MS = 86_400_000;

/** Whether what the call comes to is counted anywhere. */
export function owes({ meters, accounts }: Order): boolean {
  return meters.length > 0 || accounts.length > 0;
}

export function orderOf(call: GateCall, now: Date): Order {
  const { upstream, model, estimate } = call;
  const { requestsPerMinute, tokensPerMinute } = upstream.limits;
  return {
    lane: `${encodeURIComponent(upstream.name)}:${encodeURIComponent(model)}`,
    upstream: encodeURIComponent(upstream.name),
    meters: [
      ...(requestsPerMinute === null ? [] : [{ name: "rpm" as const, limit: requestsPerMinute }]),
      ...(tokensPerMinute === null ? [] : [{ name: "tpm" as const, limit: tokensPerMinute }]),
    ],
    accounts: [...userAccount(call, now), ...runAccount(call)],
    estimate,
  };
}

function userAccount({ user, userLimits }: GateCall, now: Date): Account[] {
  const { tokensPerDay = null, costPerDay = null } = userLimits ?? {};
  if (tokensPerDay === null && costPerDay === null) return [];
  const day = now.toISOString().slice(0, 10);
  return [
    {
      key: `user:${encodeURIComponent(user)}:${day}`,
      limits: { tokens: tokensPerDay, cost: costPerDay },
      of: { user, day },
      resetMs: DAY_MS - (now.getTime() % DAY_MS),
    },
  ];
}

function runAccount({ user, runId, maxCost }: GateCall): Account[] {
  if (runId === null || maxCost === null) return [];
  const key = `run:${encodeURIComponent(user)}:${encodeURIComponent(runId)}`;
  return [{ key, limits: { tokens: null, cost: maxCost }, of: { user, runId }, resetMs: null }];
}

/** Why a call that an account has no room for is not let in. */
export function reasonOf(account: Account, unit: "tokens" | "cost"): ClosedReason {
  if ("runId" in account.of) return "max_cost";
  return unit === "tokens" ? "user_tokens" : "user_money";
}
