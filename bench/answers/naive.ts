import { hash } from "node:crypto";
import type { Redis } from "ioredis";
import OpenAI from "openai";
import { connect } from "../caches/cache.ts";
import { API_KEY, type OpenContender, requestOf, TTL_SECONDS } from "./contender.ts";

/** The least that an answer kept in Redis can cost, and what many write by hand: SHA-256, GET, JSON.parse, else ask and SET. */
export const openAnswers: OpenContender = async ({ baseUrl, redisUrl }) => {
  const client = new OpenAI({ apiKey: API_KEY, baseURL: baseUrl });
  const redis = connect(redisUrl);
  return {
    async complete(prompt) {
      const request = requestOf(prompt);
      const kept = await readKept(redis, request);
      if (kept !== null) return textOf(kept);
      const completion = await client.chat.completions.create(request);
      await redis.set(keyOf(request), JSON.stringify(completion), "EX", TTL_SECONDS).catch(() => null);
      return textOf(completion);
    },
  };
};

async function readKept(redis: Redis, request: unknown): Promise<OpenAI.ChatCompletion | null> {
  const json = await redis.get(keyOf(request)).catch(() => null);
  return json === null ? null : (JSON.parse(json) as OpenAI.ChatCompletion);
}

function keyOf(request: unknown): string {
  return `naive:${hash("sha256", JSON.stringify(request))}`;
}

function textOf({ choices }: OpenAI.ChatCompletion): string {
  return choices[0]?.message.content ?? "";
}
