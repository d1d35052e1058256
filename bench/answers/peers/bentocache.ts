import { digestOf } from "@mythic/llm";
import OpenAI from "openai";
import { openCache } from "../../caches/peers/bentocache.ts";
import { API_KEY, type OpenContender, requestOf } from "../contender.ts";

/** A cache for anything, given a key of ours: SHA-256 of the canonical request. */
export const openAnswers: OpenContender = async ({ baseUrl, redisUrl, tiers }) => {
  const client = new OpenAI({ apiKey: API_KEY, baseURL: baseUrl });
  const asked = new Map<string, ReturnType<typeof requestOf>>();
  const load = async (key: string) => {
    const request = asked.get(key);
    if (request === undefined) throw new Error("Nobody asked for this.");
    return await client.chat.completions.create(request);
  };
  const cache = await openCache({ redisUrl, tiers }, load);
  return {
    async complete(prompt) {
      const request = requestOf(prompt);
      const key = digestOf({ baseUrl, request });
      asked.set(key, request);
      try {
        const { choices } = (await cache.get(key)) as OpenAI.ChatCompletion;
        return choices[0]?.message.content ?? "";
      } finally {
        asked.delete(key);
      }
    },
  };
};
