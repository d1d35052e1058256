import { hash } from "node:crypto";
import type { z } from "zod";
import type { Asker, Question } from "../model.ts";
import type { StrictSchema } from "./strict-schema.ts";
import { toStrictSchema } from "./strict-schema.ts";

/** A question as a chat request: instructions, input, and the schema of the answer. */
export type QuestionRequest = {
  readonly model: string;
  readonly messages: readonly [
    { readonly role: "system"; readonly content: string },
    { readonly role: "user"; readonly content: string },
  ];
  readonly max_completion_tokens: number;
  /** Requests with the same one meet in the provider's cache of prompts. */
  readonly prompt_cache_key: string;
  readonly service_tier?: "flex";
  readonly response_format: {
    readonly type: "json_schema";
    readonly json_schema: { readonly name: string; readonly strict: true; readonly schema: StrictSchema };
  };
};

/** Makes requests of questions. Keeps the JSON Schema of each zod schema, which takes longer to make than the rest. */
export function createRequestBuilder(): (question: Question<unknown>, asker: Asker) => QuestionRequest {
  const schemas = new WeakMap<z.ZodType, StrictSchema>();
  return (question, asker) => {
    const { model, serviceTier } = asker;
    const schema = schemas.get(question.schema) ?? toStrictSchema(question.schema);
    schemas.set(question.schema, schema);
    return {
      model,
      messages: [
        { role: "system", content: question.instructions },
        { role: "user", content: question.input },
      ],
      max_completion_tokens: question.maxOutputTokens,
      prompt_cache_key: promptCacheKey(question, asker),
      ...(serviceTier === null ? {} : { service_tier: serviceTier }),
      response_format: {
        type: "json_schema",
        json_schema: { name: question.schemaName, strict: true, schema },
      },
    };
  };
}

/** Requests of one book and prompt, which begin alike, over so many keys: a key takes some 15 requests a minute before it spills over (OpenAI's guide to prompt caching). */
const SHARDS = 8;

/** Says nothing of the book, and nothing of the user. */
function promptCacheKey({ prompt }: Question<unknown>, { user, bookDigest, stepId }: Asker): string {
  const shard = Number.parseInt(hash("sha256", stepId).slice(0, 8), 16) % SHARDS;
  return `mythic-${hash("sha256", JSON.stringify([user, bookDigest, prompt])).slice(0, 32)}-${shard}`;
}
