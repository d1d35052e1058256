import { type Judgement, NO_STAKE, refusalMs, type Stake } from "./gcra.ts";

/** The places that one who waits got at the limits that refused it. */
export interface Claim {
  readonly judgement: Judgement;
  /** When the charge for the place has drained, by limit. Null where there is no place. */
  readonly drainedAt: readonly (number | null)[];
}

/** What an attempt to `claim` left behind. */
export function claimOf(judgement: Judgement, now: number): Claim {
  const { charges, verdict } = judgement;
  const drainedAt = charges.map((charge, index) => {
    if (refusalMs(charge, verdict, index) <= 0) return null;
    return now + (verdict.backlogsMs[index] ?? 0) + charge.chargeMs;
  });
  return { judgement, drainedAt };
}

/** What a claim is worth now, by limit. A place that is over is none. */
export function stakesOf({ judgement, drainedAt }: Claim, now: number): Stake[] {
  return judgement.charges.map(({ chargeMs }, index) => {
    const leftMs = (drainedAt[index] ?? now) - now;
    if (leftMs <= 0) return NO_STAKE;
    return { creditMs: Math.min(leftMs, chargeMs), aheadMs: Math.max(leftMs - chargeMs, 0) };
  });
}
