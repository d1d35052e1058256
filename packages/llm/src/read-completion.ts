import { z } from "zod";
import { ModelError } from "./model-error.ts";

/** What is read of a completion. Endpoints differ in the rest, and in which of these they leave out. */
const completionSchema = z.object({
  model: z.string().nullish(),
  choices: z.array(
    z.object({
      finish_reason: z.string().nullish(),
      message: z.object({ content: z.string().nullish(), refusal: z.string().nullish() }),
    }),
  ),
  usage: z
    .object({
      prompt_tokens: z.int().nonnegative(),
      completion_tokens: z.int().nonnegative(),
      prompt_tokens_details: z.object({ cached_tokens: z.int().nonnegative().nullish() }).nullish(),
    })
    .nullish(),
});

export interface Completion {
  readonly modelAnswered: string | null;
  /** Null when the endpoint does not count. */
  readonly usage: {
    readonly inputTokens: number;
    readonly cachedTokens: number;
    readonly outputTokens: number;
  } | null;
  readonly finishReason: string | null;
  readonly content: string;
  readonly refusal: string;
}

/** Null for what is no completion at all, such as a proxy's page with status 200. */
export function readCompletion(body: unknown): Completion | null {
  const parsed = completionSchema.safeParse(body);
  if (!parsed.success) return null;
  const { model, choices, usage } = parsed.data;
  const choice = choices[0];
  return {
    modelAnswered: model ?? null,
    usage: usage
      ? {
          inputTokens: usage.prompt_tokens,
          cachedTokens: usage.prompt_tokens_details?.cached_tokens ?? 0,
          outputTokens: usage.completion_tokens,
        }
      : null,
    finishReason: choice?.finish_reason ?? null,
    content: choice?.message.content ?? "",
    refusal: choice?.message.refusal ?? "",
  };
}

/** The validated value of a whole, willing, fitting answer; else the error that says what it lacks. */
export function readValue<Value>(completion: Completion, schema: z.ZodType<Value>): Value | ModelError {
  if (completion.refusal !== "") return new ModelError("model_refused", "The model declined to answer.");
  if (completion.finishReason === "content_filter") {
    return new ModelError("model_filtered", "The endpoint's content filter kept the answer back.");
  }
  if (completion.finishReason === "length") {
    return new ModelError("model_truncated", "The answer was cut off at the limit of output tokens.");
  }
  if (completion.content.trim() === "") return new ModelError("model_empty", "The model answered nothing.");
  if (completion.finishReason !== "stop") {
    return new ModelError("model_truncated", "The answer did not come to its end.");
  }
  return parseAnswer(completion.content, schema);
}

/** The value of an answer's text, new or out of the ledger. */
export function parseAnswer<Value>(answer: string, schema: z.ZodType<Value>): Value | ModelError {
  let json: unknown;
  try {
    json = JSON.parse(answer);
  } catch (cause) {
    return new ModelError("model_invalid_answer", "The model's answer is not JSON.", { cause });
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  return new ModelError("model_invalid_answer", "The model's answer does not fit the schema.", {
    cause: parsed.error,
  });
}
