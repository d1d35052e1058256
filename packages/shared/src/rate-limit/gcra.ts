import type { Charge } from "./charge.ts";

/*
 * The generic cell rate algorithm, for several limits at once.
 *
 * The state of a limit is the time at which all that it was charged has drained. What is left to drain is its backlog. A call passes while
 * the backlog is no more than its slack: burst less charge, or 0 for what costs more than the burst, which passes when nothing is
 * left to drain and leaves debt. So a window as long as the period never gets more than the limit and the larger of the burst and
 * the largest cost.
 *
 * `gcra-script.ts` says the same in Lua. A test drives both with the same calls at the same times.
 */

/**
 * `take` charges all limits or none, `peek` none. `claim` charges all, or else those that refuse: who waits gets a place in the backlog
 * so, which later calls come behind, and shows it with the next attempt.
 */
export type Purpose = "take" | "peek" | "claim";

/** How a limit stands. */
export interface Standing {
  readonly backlogMs: number;
  /** For how long nothing passes, whatever the backlog. */
  readonly blockedMs: number;
}

/** The place of one who waits in the backlog of a limit. */
export interface Stake {
  /** What of the backlog is its own charge. */
  readonly creditMs: number;
  /** What of the backlog drains before its place. */
  readonly aheadMs: number;
}

/** What a limit is to one call. */
export interface View {
  /** What counts against the call. */
  readonly backlogMs: number;
  /** What there is to drain but for the call's own stake. */
  readonly totalMs: number;
}

export interface Verdict {
  /** Until the call would pass. 0: it passes. */
  readonly waitMs: number;
  /** What counted against the call, by limit. */
  readonly backlogsMs: readonly number[];
  /** For how long nothing passes, by limit. Empty when no limit is blocked. */
  readonly blocksMs: readonly number[];
}

/** What a tier said, of the charges as they are there. */
export interface Judgement {
  readonly tier: "redis" | "local";
  readonly charges: readonly Charge[];
  readonly verdict: Verdict;
}

/** A change of how a limit stands: so much more or less to drain, and blocked for so long at least. */
export interface Adjustment {
  readonly key: string;
  readonly deltaMs: number;
  readonly blockMs: number;
}

export const NO_STAKE: Stake = { creditMs: 0, aheadMs: Number.MAX_SAFE_INTEGER };

export function view({ backlogMs }: Standing, stake: Stake): View {
  const totalMs = Math.max(backlogMs - stake.creditMs, 0);
  return { backlogMs: Math.min(totalMs, stake.aheadMs), totalMs };
}

/** For how long a limit refuses a charge, by its index in the verdict; 0 when it does not. */
export function refusalMs(
  { slackMs }: Charge,
  { backlogsMs, blocksMs }: Omit<Verdict, "waitMs">,
  index: number,
): number {
  return Math.max((backlogsMs[index] ?? 0) - slackMs, blocksMs[index] ?? 0, 0);
}

export function judge(
  charges: readonly Charge[],
  backlogsMs: readonly number[],
  blocksMs: readonly number[],
): Verdict {
  let waitMs = 0;
  for (const [index, charge] of charges.entries()) {
    waitMs = Math.max(waitMs, refusalMs(charge, { backlogsMs, blocksMs }, index));
  }
  return { waitMs, backlogsMs, blocksMs };
}

/** What a limit is charged in the end, by its index in the verdict. */
export function dueMs(charge: Charge, verdict: Verdict, index: number, purpose: Purpose): number {
  if (purpose === "peek") return 0;
  const isDue = verdict.waitMs <= 0 || (purpose === "claim" && refusalMs(charge, verdict, index) > 0);
  return isDue ? charge.chargeMs : 0;
}

export function adjust({ backlogMs, blockedMs }: Standing, { deltaMs, blockMs }: Adjustment): Standing {
  return { backlogMs: Math.max(backlogMs + deltaMs, 0), blockedMs: Math.max(blockedMs, blockMs) };
}
