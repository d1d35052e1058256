import type { ChatRequest } from "./chat-request.ts";
import { estimateTokens } from "./tokens.ts";

/** Roles, separators and the schema's own framing. */
const FRAME_TOKENS = 100;
/** By how much the real count may pass the estimate: tables, code and rare words have more tokens than their length says. */
const MARGIN = 1.5;

export interface MostTokens {
  readonly inputTokens: number;
  /** Null: the request sets no limit. */
  readonly outputTokens: number | null;
}

/** The most tokens that a request should come to, for what must be put aside before it is sent. */
export function mostTokens({ messages, tools, response_format: format, ...rest }: ChatRequest): MostTokens {
  const texts = textsIn([messages, tools, format]);
  const estimate = texts.reduce((sum, text) => sum + estimateTokens(text), 0);
  const limit = rest["max_completion_tokens"] ?? rest["max_tokens"];
  const choices = typeof rest["n"] === "number" ? rest["n"] : 1;
  return {
    inputTokens: Math.ceil(estimate * MARGIN) + FRAME_TOKENS,
    outputTokens: typeof limit === "number" ? limit * choices : null,
  };
}

/** Every text and every name in it. */
function textsIn(value: unknown): readonly string[] {
  if (typeof value === "string") return [value];
  if (typeof value !== "object" || value === null) return [];
  if (Array.isArray(value)) return value.flatMap(textsIn);
  return Object.entries(value).flatMap(([name, inner]) => [name, ...textsIn(inner)]);
}
