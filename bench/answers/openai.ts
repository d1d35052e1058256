import OpenAI from "openai";
import { API_KEY, type OpenContender, requestOf } from "./contender.ts";

/** The official SDK, which remembers nothing. */
export const openAnswers: OpenContender = async ({ baseUrl }) => {
  const client = new OpenAI({ apiKey: API_KEY, baseURL: baseUrl });
  return {
    async complete(prompt) {
      const { choices } = await client.chat.completions.create(requestOf(prompt));
      return choices[0]?.message.content ?? "";
    },
    async *stream(prompt) {
      const chunks = await client.chat.completions.create({ ...requestOf(prompt), stream: true });
      for await (const { choices } of chunks) yield choices[0]?.delta.content ?? "";
    },
  };
};
