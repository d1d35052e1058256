/** Of the calendar in UTC: `2026-11-20`. */
export type Day = string;

/** From the first day to the last, both included. */
export interface DayRange {
  readonly from: Day;
  readonly to: Day;
}

export function dayOf(time: Date): Day {
  return time.toISOString().slice(0, 10);
}

/** What some calls came to. */
export interface Amount {
  readonly calls: number;
  readonly tokens: number;
  /** Nano-dollars, of the calls whose price is known. */
  readonly cost: number;
  /** Calls whose price is not known. */
  readonly unpriced: number;
}

/** Why something did not have to be paid for: an answer that was there, or one that was on its way for someone else. */
type SavingCause = "hit" | "coalesced";

/** What answers that were not asked for again would have come to. */
export interface Saved extends Amount {
  readonly model: string;
  readonly cause: SavingCause;
}

export interface Usage {
  /** All that was sent, calls that are on their way or whose end is not known at their most. */
  readonly spent: Amount & {
    /** Of the calls that told. */
    readonly inputTokens: number;
    readonly cachedTokens: number;
    readonly outputTokens: number;
  };
  readonly saved: Readonly<Record<SavingCause, Amount>> & {
    /** Input that the provider had cached: those calls, those tokens, and how much more they had cost. */
    readonly promptCache: Amount;
    /** Calls at the price of a cheaper service tier, and how much more they had cost. */
    readonly tier: Amount;
  };
  /** Part of what was spent. */
  readonly wasted: {
    /** Paid for, and the answer was of no use. */
    readonly unusable: Amount;
    /** Answers to a request that another call, on its way at the same time, answered too. */
    readonly twice: Amount;
    /** Nobody knows what became of them, so they may have been paid for. */
    readonly unknown: Amount;
  };
}

/** The usage of a model on a day. */
export interface DailyUsage extends Usage {
  readonly day: Day;
  readonly model: string;
}

/** What a store sums over calls, each part under conditions of its own. */
export const CALL_PARTS = ["spent", "promptCache", "tier", "unusable", "twice", "unknown"] as const;
export type CallPart = (typeof CALL_PARTS)[number];

/** The sums over the calls of one model on one day: the fields of each part's `Amount` under its name, such as `spentCalls`. */
export interface CallSums {
  readonly day: Day;
  readonly model: string;
  readonly sums: Readonly<Record<string, number>>;
}

/** What was saved by cause on one day. */
export interface SavedSums extends Saved {
  readonly day: Day;
}

const NOTHING: Amount = { calls: 0, tokens: 0, cost: 0, unpriced: 0 };

export const NOTHING_USED: Usage = {
  spent: { ...NOTHING, inputTokens: 0, cachedTokens: 0, outputTokens: 0 },
  saved: { hit: NOTHING, coalesced: NOTHING, promptCache: NOTHING, tier: NOTHING },
  wasted: { unusable: NOTHING, twice: NOTHING, unknown: NOTHING },
};

/** What was summed of a part; nothing when there were no calls. */
export function amountOf(sums: CallSums["sums"], part: CallPart): Amount {
  return {
    calls: sums[`${part}Calls`] ?? 0,
    tokens: sums[`${part}Tokens`] ?? 0,
    cost: sums[`${part}Cost`] ?? 0,
    unpriced: sums[`${part}Unpriced`] ?? 0,
  };
}

/** Puts together what was summed over calls and what was counted as saved, by day and model. */
export function dailyUsage(calls: readonly CallSums[], saved: readonly SavedSums[]): readonly DailyUsage[] {
  const parts: readonly DailyUsage[] = [...calls.map(usageOfCalls), ...saved.map(usageOfSaved)];
  const byDayAndModel = Map.groupBy(parts, ({ day, model }) => JSON.stringify([day, model]));
  return [...byDayAndModel.values()]
    .map((group) => ({ ...(group[0] as DailyUsage), ...sumUsage(group) }))
    .sort((a, b) => compare(a.day, b.day) || compare(a.model, b.model));
}

export function sumUsage(parts: readonly Usage[]): Usage {
  return parts.reduce(addUsage, NOTHING_USED);
}

/**
 * Of answered calls with one request that were on their way at the same time, those that need not have been sent: all but the
 * one that was sent first.
 */
export function needlessCalls(
  calls: readonly { readonly id: string; readonly sentAt: Date }[],
): readonly string[] {
  return [...calls]
    .sort((a, b) => a.sentAt.getTime() - b.sentAt.getTime() || compare(a.id, b.id))
    .slice(1)
    .map(({ id }) => id);
}

function usageOfCalls({ day, model, sums }: CallSums): DailyUsage {
  const { inputTokens = 0, cachedTokens = 0, outputTokens = 0 } = sums;
  const part = (name: CallPart): Amount => amountOf(sums, name);
  return {
    day,
    model,
    spent: { ...part("spent"), inputTokens, cachedTokens, outputTokens },
    saved: { ...NOTHING_USED.saved, promptCache: part("promptCache"), tier: part("tier") },
    wasted: { unusable: part("unusable"), twice: part("twice"), unknown: part("unknown") },
  };
}

function usageOfSaved({ day, model, cause, ...amount }: SavedSums): DailyUsage {
  return { ...NOTHING_USED, day, model, saved: { ...NOTHING_USED.saved, [cause]: amount } };
}

function addUsage(a: Usage, b: Usage): Usage {
  return {
    spent: {
      ...add(a.spent, b.spent),
      inputTokens: a.spent.inputTokens + b.spent.inputTokens,
      cachedTokens: a.spent.cachedTokens + b.spent.cachedTokens,
      outputTokens: a.spent.outputTokens + b.spent.outputTokens,
    },
    saved: {
      hit: add(a.saved.hit, b.saved.hit),
      coalesced: add(a.saved.coalesced, b.saved.coalesced),
      promptCache: add(a.saved.promptCache, b.saved.promptCache),
      tier: add(a.saved.tier, b.saved.tier),
    },
    wasted: {
      unusable: add(a.wasted.unusable, b.wasted.unusable),
      twice: add(a.wasted.twice, b.wasted.twice),
      unknown: add(a.wasted.unknown, b.wasted.unknown),
    },
  };
}

function add(a: Amount, b: Amount): Amount {
  return {
    calls: a.calls + b.calls,
    tokens: a.tokens + b.tokens,
    cost: a.cost + b.cost,
    unpriced: a.unpriced + b.unpriced,
  };
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
