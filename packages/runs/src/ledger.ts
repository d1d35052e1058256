import type { RunUsage } from "./run.ts";
import type { Amount, DailyUsage, Day, DayRange, Saved } from "./usage.ts";

/** What a token costs, in nano-dollars, as it was applied to one call: its service tier and its length are in it. */
interface TokenPrice {
  readonly input: number;
  /** Input that the provider had cached. */
  readonly cachedInput: number;
  readonly output: number;
}

/**
 * One model call that left the house: `sent → answered | failed | unknown`. Money is in nano-dollars, whole numbers; null is
 * always "not known" or "not told", and never the same as 0.
 */
export interface LedgerRow {
  /** Of the attempt, and no other has it: `<step>.f<fence>.<n>` for the call of a step. */
  readonly id: string;
  /** Who pays. */
  readonly user: string;
  /** Whose data the answer is: `user:<id>`, or `book:<id>` for a book that is shared on purpose. */
  readonly scope: string;
  /** Null for a call of the public endpoint, as are the next four. */
  readonly runId: string | null;
  readonly stepId: string | null;
  readonly recipe: string | null;
  readonly recipeVersion: number | null;
  /** `summary.chapter`. Null also in rows of schema version 1. */
  readonly prompt: string | null;
  /** Of the request; SHA-256 of the request in rows of schema version 1. Null: the request has no key. */
  readonly keyId: string | null;
  /** True where no answer that is there would have done, so that paying again is no waste. */
  readonly askedAnew: boolean;
  readonly state: "sent" | "answered" | "failed" | "unknown";
  /** The endpoint by the name that the configuration gives it. Null in rows of schema version 1. */
  readonly upstream: string | null;
  readonly modelAsked: string;
  readonly modelAnswered: string | null;
  /** While `sent`, the one asked for; then the one that answered. */
  readonly serviceTier: string | null;
  readonly inputTokens: number | null;
  /** The part of `inputTokens` that the provider had cached. */
  readonly cachedTokens: number | null;
  readonly outputTokens: number | null;
  /** Input and output together; the most that they can come to for as long as nothing was told. */
  readonly tokens: number;
  readonly price: TokenPrice | null;
  /** While `sent`, the most that it can cost. */
  readonly cost: number | null;
  /** How much more it had cost without the provider's cache of prompts. */
  readonly promptCacheSaved: number | null;
  /** How much more it had cost at the standard price; 0 for a call at that price. */
  readonly tierSaved: number | null;
  /** Another call that was on its way at the same time, and was sent earlier, answered the same request. */
  readonly paidTwice: boolean;
  readonly latencyMs: number | null;
  /** Why it failed. */
  readonly outcome: string | null;
  /** The text of a usable answer, as the model wrote it. */
  readonly answer: string | null;
  /** The whole message as JSON where it says more than its text. */
  readonly message: string | null;
  readonly sentAt: Date;
  readonly settledAt: Date | null;
  /** When its texts were removed. A text that comes later is not kept. */
  readonly erasedAt: Date | null;
}

export type LedgerOpening = Pick<
  LedgerRow,
  | "id"
  | "scope"
  | "runId"
  | "stepId"
  | "recipe"
  | "recipeVersion"
  | "prompt"
  | "keyId"
  | "askedAnew"
  | "modelAsked"
  | "serviceTier"
  | "tokens"
  | "price"
  | "cost"
> & { readonly upstream: string };

export type LedgerSettlement = Pick<
  LedgerRow,
  | "modelAnswered"
  | "serviceTier"
  | "inputTokens"
  | "cachedTokens"
  | "outputTokens"
  | "price"
  | "cost"
  | "promptCacheSaved"
  | "tierSaved"
  | "latencyMs"
  | "outcome"
  | "answer"
  | "message"
> & { readonly state: "answered" | "failed" | "unknown" };

export interface AnswerQuery {
  readonly keyId: string;
  readonly recipe: string;
  readonly recipeVersion: number;
  /** Answers settled before this are too old. */
  readonly since: Date;
}

/** Whose texts are removed. A model counts whether it was asked or answered. */
export type Erasure =
  | { readonly of: "everything" }
  | { readonly of: "run"; readonly runId: string }
  | { readonly of: "book"; readonly bookId: string }
  | { readonly of: "request"; readonly keyId: string }
  | { readonly of: "model"; readonly model: string }
  | { readonly of: "recipe"; readonly recipe: string; readonly recipeVersion: number };

export interface LedgerStore {
  /**
   * Writes the row as `sent`. One that is there stays as it is; throws when that one is another user's. The row outlives this process; a power cut may
   * take it within a moment, as every call would wait for the disk twice otherwise.
   */
  open(user: string, opening: LedgerOpening): Promise<void>;
  /** An answer is there to stay, whatever happens. Without one this outlives what `open` does. */
  settle(user: string, id: string, settlement: LedgerSettlement): Promise<void>;
  /** The newest answered row of the scope with an answer. Null when that answer cannot be unsealed. */
  findAnswer(scope: string, query: AnswerQuery): Promise<LedgerRow | null>;
  /** What a run spent so far, calls on their way included at their most; `reusedAnswers` is 0 here. */
  spent(user: string, runId: string): Promise<RunUsage>;
  /** What the calls that a user sent on a day came to, those on their way at their most: what budgets are rebuilt from. */
  spentOn(user: string, day: Day): Promise<Amount>;
  ofRun(user: string, runId: string): Promise<readonly LedgerRow[]>;
  /** Adds to what was saved today. Repeated after an error it may count twice. */
  countSaved(user: string, saved: Saved): Promise<void>;
  /** By day and model, in this order. Everyone's when `user` is null. */
  usage(user: string | null, days: DayRange): Promise<readonly DailyUsage[]>;
  /**
   * Removes texts of answers, also those that calls on their way will bring; amounts stay. Everyone's when `user` is null. Answers
   * how many rows.
   */
  erase(user: string | null, erasure: Erasure): Promise<number>;
}

/** Makes texts unreadable to who has no key, each bound to one place. */
export interface Sealer {
  seal(text: string, place: string): string;
  /**
   * Null for what cannot be opened here: sealed with another key, for another place, or tampered with. What was never sealed comes
   * back as it is. Never throws.
   */
  open(stored: string, place: string): string | null;
}
