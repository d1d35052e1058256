import type { Scope } from "./request/request-key.ts";

/**
 * The ledger as this package needs it: one row for each model call that left the house, and counts of what did not have to. The
 * stores of `@mythic/runs` have this shape. Money is in nano-dollars, whole numbers; null is "not known" or "not told", never 0.
 */
export interface Ledger {
  /** Writes the row as `sent`, before anything is sent. A row of this id that is there stays as it is. */
  open(user: string, opening: LedgerOpening): Promise<void>;
  settle(user: string, id: string, settlement: LedgerSettlement): Promise<void>;
  /** The newest answered row that has an answer and was settled at or after `since`. */
  findAnswer(scope: Scope, query: AnswerQuery): Promise<PastAnswer | null>;
  /** What a run spent so far, calls on their way included at their most; null when a price is unknown. */
  spent(user: string, runId: string): Promise<{ readonly cost: number | null }>;
  /** What a user's calls of a day (UTC, `2026-11-20`) came to, those on their way at their most: budgets are rebuilt from it. */
  spentOn(user: string, day: string): Promise<Amount>;
  /** Adds to what was saved today. Repeated after an error it may count twice. */
  countSaved(user: string, saved: Saved): Promise<void>;
}

/** What a token costs, as it is applied to one call: service tier and length are in it. */
export interface TokenPrice {
  readonly input: number;
  readonly cachedInput: number;
  readonly output: number;
}

export interface LedgerOpening {
  /** Of the attempt: `<step>.f<fence>.<n>`, or a new one for a call of the public endpoint. */
  readonly id: string;
  readonly scope: Scope;
  /** Null for a call of the public endpoint, as are the next four. */
  readonly runId: string | null;
  readonly stepId: string | null;
  readonly recipe: string | null;
  readonly recipeVersion: number | null;
  /** `summary.chapter` */
  readonly prompt: string | null;
  /** The id of the request's key. Null: the request has none. */
  readonly keyId: string | null;
  /** True where no answer that is there would do: asked past the cache, or for one more variant. */
  readonly askedAnew: boolean;
  /** The endpoint's name. */
  readonly upstream: string;
  readonly modelAsked: string;
  /** The one asked for. */
  readonly serviceTier: string | null;
  /** The most that input and output can come to. */
  readonly tokens: number;
  readonly price: TokenPrice | null;
  /** The most that the call can cost. */
  readonly cost: number | null;
}

export interface LedgerSettlement {
  readonly state: "answered" | "failed" | "unknown";
  readonly modelAnswered: string | null;
  /** The one that answered. */
  readonly serviceTier: string | null;
  /** All three are 0 for a call that was never paid for, null where the endpoint does not count. */
  readonly inputTokens: number | null;
  /** Part of `inputTokens`. */
  readonly cachedTokens: number | null;
  readonly outputTokens: number | null;
  readonly price: TokenPrice | null;
  readonly cost: number | null;
  /** How much more it had cost without the provider's cache of prompts. */
  readonly promptCacheSaved: number | null;
  /** How much more it had cost at the standard price; 0 for a call at that price. */
  readonly tierSaved: number | null;
  readonly latencyMs: number | null;
  /** Why it failed. */
  readonly outcome: string | null;
  /** The text of a usable answer. */
  readonly answer: string | null;
  /** The whole message as JSON, where it says more than its text: tool calls. */
  readonly message: string | null;
}

export interface AnswerQuery {
  readonly keyId: string;
  readonly recipe: string;
  readonly recipeVersion: number;
  readonly since: Date;
}

export type PastAnswer = Pick<
  LedgerSettlement,
  "modelAnswered" | "inputTokens" | "cachedTokens" | "outputTokens" | "cost" | "answer" | "message"
> & { readonly id: string; readonly settledAt: Date | null };

/** What some calls came to. */
export interface Amount {
  readonly calls: number;
  readonly tokens: number;
  /** Of the calls whose price is known. */
  readonly cost: number;
  /** Calls whose price is not known. */
  readonly unpriced: number;
}

/** What answers that were not asked for again would have come to: they were there, or on their way for someone else. */
export interface Saved extends Amount {
  readonly model: string;
  readonly cause: "hit" | "coalesced";
}
