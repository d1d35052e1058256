import { z } from "zod";
import type { AnswerMessage, Usage } from "../answers/answer.ts";

const count = z.int().nonnegative();
const usageSchema = z
  .object({
    prompt_tokens: count,
    completion_tokens: count,
    prompt_tokens_details: z.object({ cached_tokens: count.nullish() }).nullish(),
    completion_tokens_details: z.object({ reasoning_tokens: count.nullish() }).nullish(),
  })
  .nullish();

/** What is read of a completion. Endpoints differ in the rest, and in which of these they leave out. */
const completionSchema = z.object({
  id: z.string().nullish(),
  model: z.string().nullish(),
  service_tier: z.string().nullish(),
  choices: z.array(
    z.object({
      finish_reason: z.string().nullish(),
      message: z.object({
        content: z.string().nullish(),
        refusal: z.string().nullish(),
        tool_calls: z.array(z.unknown()).nullish(),
      }),
    }),
  ),
  // An answer is of use, however its endpoint counts.
  usage: usageSchema.catch(null),
});

/** What an endpoint answered. */
export interface Completion {
  /** Empty: it has none. */
  readonly id: string;
  /** Null: the endpoint did not say. */
  readonly modelAnswered: string | null;
  readonly serviceTier: string | null;
  /** Null when the endpoint does not count. */
  readonly usage: Usage | null;
  readonly finishReason: string | null;
  /** Of the first choice. */
  readonly message: AnswerMessage;
  /** Of the message; empty where there is none. */
  readonly content: string;
  /** All of it, as it came or as its chunks came to, for whoever asked for more than one text. */
  readonly body: unknown;
}

/** Null for what is no completion at all, such as a proxy's page with status 200. */
export function readCompletion(body: unknown): Completion | null {
  const parsed = completionSchema.safeParse(body);
  if (!parsed.success) return null;
  const { id, model, service_tier: serviceTier, choices, usage } = parsed.data;
  const choice = choices[0];
  const content = choice?.message.content ?? null;
  const refusal = choice?.message.refusal ?? null;
  const tools = choice?.message.tool_calls ?? [];
  return {
    id: id ?? "",
    modelAnswered: model ?? null,
    serviceTier: serviceTier ?? null,
    usage: usage ? readUsage(usage) : null,
    finishReason: choice?.finish_reason ?? null,
    message: {
      role: "assistant",
      content,
      ...(refusal === null ? {} : { refusal }),
      ...(tools.length === 0 ? {} : { tool_calls: tools }),
    },
    content: content ?? "",
    body,
  };
}

function readUsage(usage: NonNullable<z.infer<typeof usageSchema>>): Usage {
  const reasoningTokens = usage.completion_tokens_details?.reasoning_tokens;
  return {
    inputTokens: usage.prompt_tokens,
    cachedTokens: usage.prompt_tokens_details?.cached_tokens ?? null,
    outputTokens: usage.completion_tokens,
    ...(reasoningTokens === null || reasoningTokens === undefined ? {} : { reasoningTokens }),
  };
}
