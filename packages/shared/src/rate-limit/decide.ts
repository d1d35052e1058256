import type { Charge } from "./charge.ts";
import { type Judgement, refusalMs, type Standing, type Verdict } from "./gcra.ts";
import type { DecidedBy, Decision, LimitState } from "./limit.ts";

/** Half a unit in a million: what arithmetic loses must not look like a unit that is gone. */
const ROUNDING = 5e-7;

/** What was judged, and by whom. */
export interface Judged extends Omit<Judgement, "tier"> {
  readonly tier: DecidedBy;
}

/** Says in units and whole milliseconds what came out. A peek charged nothing. */
export function decide({ tier, charges, verdict }: Judged, isPeek = false): Decision {
  const allowed = verdict.waitMs <= 0;
  const limits = charges.map((charge, index) => {
    const backlogMs = verdict.backlogsMs[index] ?? 0;
    const taken = allowed && !isPeek ? charge.chargeMs : 0;
    return stateOf(charge, { backlogMs: backlogMs + taken, blockedMs: verdict.blocksMs[index] ?? 0 });
  });
  return {
    allowed,
    refusedBy: allowed ? null : longestRefusal(charges, verdict),
    never: false,
    retryAfterMs: Math.ceil(verdict.waitMs),
    limits,
    tier,
  };
}

/** What costs more than its limit can never pass. Null when nothing does. */
export function refuseForGood(charges: readonly Charge[]): Decision | null {
  const refusing = charges.find(({ cost, limit }) => cost > limit);
  if (refusing === undefined) return null;
  return {
    allowed: false,
    refusedBy: refusing.name,
    never: true,
    retryAfterMs: Number.POSITIVE_INFINITY,
    limits: [],
    tier: "denied-here",
  };
}

export function stateOf(
  { name, limit, burstMs, unitMs }: Charge,
  { backlogMs, blockedMs }: Standing,
): LimitState {
  const left = blockedMs > 0 ? 0 : Math.floor((burstMs - backlogMs) / unitMs + ROUNDING);
  return { name, limit, remaining: Math.max(left, 0), resetMs: Math.ceil(Math.max(backlogMs, blockedMs)) };
}

function longestRefusal(charges: readonly Charge[], verdict: Verdict): string | null {
  let longest: string | null = null;
  let longestMs = 0;
  for (const [index, charge] of charges.entries()) {
    const ms = refusalMs(charge, verdict, index);
    if (ms > longestMs) [longest, longestMs] = [charge.name, ms];
  }
  return longest;
}
