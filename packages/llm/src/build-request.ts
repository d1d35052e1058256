import type { z } from "zod";
import { canonicalJson } from "./digest.ts";
import type { Question } from "./model.ts";
import type { StrictSchema } from "./strict-schema.ts";
import { toStrictSchema } from "./strict-schema.ts";
import { estimateTokens } from "./tokens.ts";

/** A chat completion as it goes over the wire, and all of it that can change the answer. */
export interface ChatRequest {
  readonly model: string;
  readonly messages: readonly [
    { readonly role: "system"; readonly content: string },
    { readonly role: "user"; readonly content: string },
  ];
  readonly max_completion_tokens: number;
  readonly response_format: {
    readonly type: "json_schema";
    readonly json_schema: { readonly name: string; readonly strict: true; readonly schema: StrictSchema };
  };
}

/** Makes requests of questions. Keeps the JSON Schema of each zod schema, which takes longer to make than the rest. */
export function createRequestBuilder(): (question: Question<unknown>, model: string) => ChatRequest {
  const schemas = new WeakMap<z.ZodType, StrictSchema>();
  return (question, model) => {
    const schema = schemas.get(question.schema) ?? toStrictSchema(question.schema);
    schemas.set(question.schema, schema);
    return {
      model,
      messages: [
        { role: "system", content: question.instructions },
        { role: "user", content: question.input },
      ],
      max_completion_tokens: question.maxOutputTokens,
      response_format: {
        type: "json_schema",
        json_schema: { name: question.schemaName, strict: true, schema },
      },
    };
  };
}

/** Roles, separators and the schema's own framing. */
const FRAME_TOKENS = 100;
/** By how much the real count may pass the estimate: tables, code and rare words have more tokens than their length says. */
const MARGIN = 1.5;

/** The most tokens that a request should come to, for what must be put aside before it is sent. */
export function mostTokens(request: ChatRequest): { inputTokens: number; outputTokens: number } {
  const [system, user] = request.messages;
  const schema = canonicalJson(request.response_format.json_schema.schema);
  const estimate = estimateTokens(system.content) + estimateTokens(user.content) + estimateTokens(schema);
  return {
    inputTokens: Math.ceil(estimate * MARGIN) + FRAME_TOKENS,
    outputTokens: request.max_completion_tokens,
  };
}
