/**
 * The ledger as this package needs it: one row per model call that left the house. The stores of `@mythic/runs` have this shape.
 */
export interface Ledger {
  /** Writes the row as `sent`, before anything is sent. */
  open(user: string, opening: LedgerOpening): Promise<void>;
  settle(user: string, id: string, settlement: LedgerSettlement): Promise<void>;
  /** The newest answered row that has an answer and was settled at or after `since`. */
  findAnswer(user: string, query: AnswerQuery): Promise<PastAnswer | null>;
  /** What a run spent so far, in nano-dollars, calls on their way included at their most; null when a price is unknown. */
  spent(user: string, runId: string): Promise<{ readonly cost: number | null }>;
}

export interface LedgerOpening {
  /** `<step>.f<fence>.<n>` */
  readonly id: string;
  readonly runId: string;
  readonly stepId: string;
  readonly recipe: string;
  readonly recipeVersion: number;
  /** SHA-256 of the canonical request, in hexadecimal. */
  readonly digest: string;
  readonly modelAsked: string;
  /** The most that the call can cost, in nano-dollars. Null: price not known. */
  readonly cost: number | null;
}

export interface LedgerSettlement {
  readonly state: "answered" | "failed" | "unknown";
  readonly modelAnswered: string | null;
  readonly inputTokens: number;
  readonly cachedTokens: number;
  readonly outputTokens: number;
  readonly cost: number | null;
  readonly latencyMs: number | null;
  readonly outcome: string | null;
  readonly answer: string | null;
}

export interface AnswerQuery {
  readonly digest: string;
  readonly recipe: string;
  readonly recipeVersion: number;
  readonly since: Date;
}

export interface PastAnswer {
  readonly answer: string | null;
  readonly modelAnswered: string | null;
}
