/** What a model wrote, as the API gives it. */
export interface AnswerMessage {
  readonly role: "assistant";
  readonly content: string | null;
  readonly refusal?: string | null;
  readonly tool_calls?: readonly unknown[];
}

/** As the endpoint counted. */
export interface Usage {
  readonly inputTokens: number;
  /** The part of `inputTokens` that the provider had cached. Null: not told, which is not 0. */
  readonly cachedTokens: number | null;
  readonly outputTokens: number;
  /** Part of `outputTokens`. */
  readonly reasoningTokens?: number;
}

/** An answer as it can be given to anyone who asks the same. */
export interface Answer {
  /** The content of the message; empty where there is none. */
  readonly text: string;
  readonly message: AnswerMessage;
  readonly finishReason: string;
  /** As the endpoint named it. Null: it did not say. */
  readonly modelAnswered: string | null;
  /** Null: the endpoint does not count. */
  readonly usage: Usage | null;
  readonly answeredAt: Date;
  /** The completion's, as the endpoint gave it. */
  readonly id: string;
}

/** Where an answer came from. Only a leader's was paid for. */
export type AnswerSource = "l1" | "redis" | "ledger" | "leader" | "follower";

/** What did not have to be paid for, and why. */
interface Saved {
  /** Nano-dollars; null: the price is not known. */
  readonly cost: number | null;
  readonly tokens: number;
  readonly cause: "hit" | "coalesced" | null;
}

/** A request that came to its end. */
export interface Completed<Value = unknown> {
  readonly value: Value;
  readonly text: string;
  readonly answer: Answer;
  readonly source: AnswerSource;
  readonly usage: Usage | null;
  /** Of this request, in nano-dollars: 0 unless it was sent. Null: the price is not known. */
  readonly cost: number | null;
  readonly saved: Saved;
  readonly model: string;
  readonly ageMs: number;
  readonly keyDigest: string;
  /** All that the endpoint answered, for who asked for more than one text; null for an answer that was not made for this request alone. */
  readonly body: unknown;
}

/** What one call came to. */
export interface CallAmount {
  readonly cost: number | null;
  readonly tokens: number;
}

/** Whoever sent the call pays it; what others are given of it costs them nothing and counts as saved. */
export function chargeFor(source: AnswerSource, call: CallAmount): Pick<Completed, "cost" | "saved"> {
  if (source === "leader") return { cost: call.cost, saved: { cost: 0, tokens: 0, cause: null } };
  const { cost, tokens } = call;
  return { cost: 0, saved: { cost, tokens, cause: source === "follower" ? "coalesced" : "hit" } };
}
