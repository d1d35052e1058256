import { hash } from "node:crypto";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import {
  generateText,
  type LanguageModelMiddleware,
  simulateReadableStream,
  streamText,
  wrapLanguageModel,
} from "ai";
import { connect } from "../../caches/cache.ts";
import { API_KEY, INSTRUCTIONS, MODEL, MOST_TOKENS, type OpenContender, TTL_SECONDS } from "../contender.ts";

type Generated = Awaited<ReturnType<NonNullable<LanguageModelMiddleware["wrapGenerate"]>>>;
type Streamed = Awaited<ReturnType<NonNullable<LanguageModelMiddleware["wrapStream"]>>>;
type Part = Streamed["stream"] extends ReadableStream<infer Of> ? Of : never;
type WrapOptions = Pick<
  Parameters<NonNullable<LanguageModelMiddleware["wrapGenerate"]>>[0],
  "model" | "params"
>;

/**
 * The recipe of its documentation, with what is wrong there put right: the model and the endpoint are in the key, what varies from
 * version to version is not, the key is a digest, only whole answers are kept, they expire, and a Redis that is down is no error.
 */
export const openAnswers: OpenContender = async ({ baseUrl, redisUrl }) => {
  const redis = connect(redisUrl);
  const read = (key: string) => redis.get(key).catch(() => null);
  const write = (key: string, value: unknown) =>
    redis.set(key, JSON.stringify(value), "EX", TTL_SECONDS).catch(() => null);
  const keyOf = (kind: string, { model, params }: WrapOptions): string => {
    const { headers: _, abortSignal: __, ...asked } = params;
    const whole = JSON.stringify([model.provider, baseUrl, model.modelId, asked]);
    return `ai-sdk:${kind}:${hash("sha256", whole)}`;
  };
  const middleware: LanguageModelMiddleware = {
    async wrapGenerate({ doGenerate, params, model }) {
      const key = keyOf("text", { params, model });
      const kept = await read(key);
      if (kept !== null) {
        const { response, ...result } = JSON.parse(kept) as Generated;
        const { timestamp } = response ?? {};
        return { ...result, response: { ...response, ...(timestamp && { timestamp: new Date(timestamp) }) } };
      }
      const result = await doGenerate();
      if (result.finishReason.unified === "stop") await write(key, result);
      return result;
    },
    async wrapStream({ doStream, params, model }) {
      const key = keyOf("stream", { params, model });
      const kept = await read(key);
      if (kept !== null) {
        const chunks = JSON.parse(kept) as Part[];
        return {
          stream: simulateReadableStream({ chunks, initialDelayInMs: null, chunkDelayInMs: null }),
        };
      }
      const { stream, ...rest } = await doStream();
      const parts: Part[] = [];
      const keep = new TransformStream<Part, Part>({
        transform(part, controller) {
          parts.push(part);
          controller.enqueue(part);
        },
        async flush() {
          const isWhole = parts.some(
            (part) => part.type === "finish" && part.finishReason.unified === "stop",
          );
          if (isWhole) await write(key, parts);
        },
      });
      return { stream: stream.pipeThrough(keep), ...rest };
    },
  };
  const provider = createOpenAICompatible({ name: "bench", baseURL: baseUrl, apiKey: API_KEY });
  const model = wrapLanguageModel({ model: provider.chatModel(MODEL), middleware });
  const callOf = (prompt: string) =>
    ({ model, instructions: INSTRUCTIONS, prompt, temperature: 0, maxOutputTokens: MOST_TOKENS }) as const;
  return {
    complete: async (prompt) => (await generateText(callOf(prompt))).text,
    stream: (prompt) => streamText(callOf(prompt)).textStream,
  };
};
