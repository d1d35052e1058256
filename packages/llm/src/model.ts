import type { z } from "zod";

/** What is asked. The shape of a recipe's question. */
export interface Question<Value> {
  readonly prompt: string;
  readonly instructions: string;
  readonly input: string;
  readonly schema: z.ZodType<Value>;
  readonly schemaName: string;
  readonly maxOutputTokens: number;
}

/** For whom and for which step a question is asked. */
export interface Asker {
  readonly user: string;
  readonly runId: string;
  readonly stepId: string;
  readonly fence: number;
  readonly recipe: string;
  readonly recipeVersion: number;
  readonly model: string;
  /** SHA-256 of the file of the book that is asked about. */
  readonly bookDigest: string;
  /** Answers from before are asked anew; null when any that is young enough will do. */
  readonly freshSince: Date | null;
  /** What the run may spend, in nano-dollars. */
  readonly maxCost: number | null;
  /** Calls at a lower price that may take minutes; null: the usual ones. */
  readonly serviceTier: "flex" | null;
  readonly signal: AbortSignal;
}

/** Answers questions: from the ledger when it holds an answer that may be reused, else by one call to the endpoint. */
export interface Model {
  /** One conversation of a step: counts its calls and reuses. */
  conversation(asker: Asker): Conversation;
}

export interface Conversation {
  ask<Value>(question: Question<Value>): Promise<Value>;
  /** Answers taken from the ledger so far. */
  readonly reusedAnswers: number;
}
