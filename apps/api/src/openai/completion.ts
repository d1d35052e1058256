import { type ChatRequest, type Completed, ModelError } from "@mythic/llm";
import { Shown } from "./shown.ts";

/** What a completion and its chunks have in common. */
function headOf({ answer, model }: Completed) {
  return { id: answer.id, created: Math.floor(answer.answeredAt.getTime() / 1_000), model };
}

function usageOf({ usage }: Completed) {
  if (usage === null) return null;
  const { inputTokens, cachedTokens, outputTokens, reasoningTokens } = usage;
  return {
    prompt_tokens: inputTokens,
    completion_tokens: outputTokens,
    total_tokens: inputTokens + outputTokens,
    ...(cachedTokens === null ? {} : { prompt_tokens_details: { cached_tokens: cachedTokens } }),
    ...(reasoningTokens === undefined
      ? {}
      : { completion_tokens_details: { reasoning_tokens: reasoningTokens } }),
  };
}

/** A `chat.completion`: as the endpoint gave it, or made of the answer that is kept. */
export function completionOf(completed: Completed): unknown {
  if (completed.body !== null) return completed.body;
  const { answer } = completed;
  const usage = usageOf(completed);
  return {
    ...headOf(completed),
    object: "chat.completion",
    choices: [{ index: 0, message: answer.message, finish_reason: answer.finishReason, logprobs: null }],
    ...(usage === null ? {} : { usage }),
  };
}

/** UTF-16 units of a chunk of an answer that is replayed. */
const CHUNK_UNITS = 1_000;

/** An answer that is there, as the chunks of a stream. With `usage` the last one tells it, and the others say that it is to come. */
export function* replayOf(
  completed: Completed,
  { usage }: { readonly usage: boolean },
): Generator<unknown, void, void> {
  yield chunkOf(completed, { role: "assistant", content: completed.answer.message.content && "" }, usage);
  yield* restOf(completed, new Shown(), { usage });
}

/**
 * The chunks that a client lacks of an answer, as what others are told of it may break off before its end.
 *
 * @throws ModelError when it cannot be taken up where it broke off
 */
export function* restOf(
  completed: Completed,
  shown: Shown,
  { usage }: { readonly usage: boolean },
): Generator<unknown, void, void> {
  const { message, finishReason } = completed.answer;
  if (!shown.hasFinished) {
    if (shown.callsTools) throw brokeOff();
    const content = (message.content ?? "").slice(shown.content);
    for (const piece of pieces(content)) yield chunkOf(completed, { content: piece }, usage);
    const refusal = (message.refusal ?? "").slice(shown.refusal);
    if (refusal !== "") yield chunkOf(completed, { refusal }, usage);
    const calls = message.tool_calls ?? [];
    if (calls.length > 0) {
      const indexed = calls.map((call, index) => Object.assign({}, call, { index }));
      yield chunkOf(completed, { tool_calls: indexed }, usage);
    }
    yield chunkOf(completed, {}, usage, finishReason);
  }
  const counted = usageOf(completed);
  if (!usage || shown.hasUsage || counted === null) return;
  yield { ...headOf(completed), object: CHUNK, choices: [], usage: counted };
}

/** Clients cannot take back what they have shown. */
export function brokeOff(): ModelError {
  return new ModelError("model_unavailable", "The answer broke off; ask again.");
}

const CHUNK = "chat.completion.chunk";

function chunkOf(completed: Completed, delta: unknown, usage: boolean, finishReason: string | null = null) {
  const choice = { index: 0, delta, finish_reason: finishReason, logprobs: null };
  return { ...headOf(completed), object: CHUNK, choices: [choice], ...(usage ? { usage: null } : {}) };
}

/** Ends at characters, not in the midst of one. */
function* pieces(text: string): Generator<string, void, void> {
  for (let from = 0; from < text.length; ) {
    const last = text.charCodeAt(from + CHUNK_UNITS - 1);
    const to = from + CHUNK_UNITS - (last >= 0xd800 && last <= 0xdbff ? 1 : 0);
    yield text.slice(from, to);
    from = to;
  }
}

export function wantsUsage({ stream_options: options }: ChatRequest): boolean {
  return (
    typeof options === "object" &&
    options !== null &&
    "include_usage" in options &&
    options.include_usage === true
  );
}

/** A chunk as its reader asked for it; null for one that tells the usage alone. */
export function withoutUsage(chunk: unknown): unknown {
  if (typeof chunk !== "object" || chunk === null || !("usage" in chunk)) return chunk;
  const { usage: _, ...rest } = chunk;
  return "choices" in rest && Array.isArray(rest.choices) && rest.choices.length === 0 ? null : rest;
}
