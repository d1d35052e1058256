import { HumanMessage, SystemMessage } from "@langchain/core/messages";
import { ChatOpenAI } from "@langchain/openai";
import { RedisCache } from "@langchain/redis";
import { createClient } from "@redis/client";
import { API_KEY, INSTRUCTIONS, MODEL, MOST_TOKENS, type OpenContender } from "../contender.ts";

/** Its cache in Redis, which takes no TTL. Streams go past it. */
export const openAnswers: OpenContender = async ({ baseUrl, redisUrl }) => {
  const redis = createClient({ url: redisUrl });
  redis.on("error", () => undefined);
  await redis.connect();
  const model = new ChatOpenAI({
    model: MODEL,
    apiKey: API_KEY,
    temperature: 0,
    maxCompletionTokens: MOST_TOKENS,
    useResponsesApi: false,
    configuration: { baseURL: baseUrl },
    cache: new RedisCache(redis as never),
  });
  const messagesOf = (prompt: string) => [new SystemMessage(INSTRUCTIONS), new HumanMessage(prompt)];
  return {
    complete: async (prompt) => (await model.invoke(messagesOf(prompt))).text,
    async *stream(prompt) {
      for await (const chunk of await model.stream(messagesOf(prompt))) yield chunk.text;
    },
  };
};
