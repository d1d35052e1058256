import type { ChatRequest } from "../../src/request/chat-request.ts";
import { type AnswerKey, type KeyContext, RequestKeys } from "../../src/request/request-key.ts";

export const secret = "a secret of forty-three characters, as made";
export const ada: KeyContext = { scope: "user:ada", endpoint: "https://api.example.com/v1" };
export const keys = new RequestKeys({ secret });

/** The key of a request that has one. */
export function keyOf(request: ChatRequest, context: KeyContext = ada): AnswerKey {
  const key = keys.of(request, context);
  if (!("id" in key)) throw new Error(`${key.field} ${key.reason}`);
  return key;
}

export function idOf(request: ChatRequest, context: KeyContext = ada): string {
  return keyOf(request, context).id;
}

/** A request with a single message. */
export function asking(content: unknown, extra: Readonly<Record<string, unknown>> = {}): ChatRequest {
  return { model: "gpt-5-mini", messages: [{ role: "user", content }], ...extra };
}
