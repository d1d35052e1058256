import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";
import { type Asker, type Model, ModelError, type Question } from "../src/index.ts";

export const schema = z.strictObject({ paragraph: z.string(), quote: z.string() });
export const question: Question<z.infer<typeof schema>> = {
  prompt: "summary.chapter",
  instructions: "Summarise.",
  input:
    "<book-text>\nThe lamp had burned for ninety years before anybody asked who paid for the oil.\n</book-text>",
  schema,
  schemaName: "chapter_summary",
  maxOutputTokens: 500,
};

export function askerWith(extra: Partial<Asker> = {}): Asker {
  return {
    user: "ada",
    runId: "run1",
    stepId: "run1.summary.c1",
    fence: 1,
    recipe: "summary",
    recipeVersion: 1,
    model: "gpt-5-mini",
    bookDigest: "0".repeat(64),
    freshSince: null,
    maxCost: null,
    serviceTier: null,
    signal: new AbortController().signal,
    ...extra,
  };
}

/** The error that asking ends with. */
export async function failureOf(asking: Promise<unknown>): Promise<ModelError> {
  const error = await asking.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (error instanceof ModelError) return error;
  throw new Error("There was no ModelError.", { cause: error });
}

/** Asks again whenever there is only to be waited, as a worker does, but sooner. */
export async function askPatiently<Value>(
  model: Model,
  asker: Asker,
  asked: Question<Value>,
): Promise<Value> {
  for (;;) {
    try {
      return await model.conversation(asker).ask(asked);
    } catch (error) {
      if (!(error instanceof ModelError && error.postpones)) throw error;
      await pause(Math.min(error.retryAfterMs ?? 0, 10));
    }
  }
}
