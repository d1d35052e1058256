import { fitSchema } from "./fit-schema.ts";
import type { ChatRequest } from "./request.ts";
import type { Behaviour, Rule } from "./rule.ts";
import { readSourceText } from "./source-text.ts";

/** An answer before it is put on the wire. */
export interface Composed {
  readonly content: string | null;
  readonly refusal: string | null;
  readonly finishReason: "stop" | "length" | "content_filter";
  readonly model: string;
  readonly usage: {
    readonly prompt_tokens: number;
    readonly completion_tokens: number;
    readonly total_tokens: number;
    readonly prompt_tokens_details: { readonly cached_tokens: number };
  };
}

/** A token for every four characters begun. */
function tokensOf(text: string): number {
  return Math.ceil(text.length / 4);
}

export function compose(request: ChatRequest, rule: Rule | null): Composed {
  const behaviour = rule?.does;
  const refusal = behaviour?.kind === "refuse" ? (behaviour.text ?? "I cannot help with that.") : null;
  const whole = refusal === null ? contentFor(request, behaviour) : null;
  const limit = request.maxTokens === null ? Number.POSITIVE_INFINITY : request.maxTokens * 4;
  const cut = behaviour?.kind === "truncate" || behaviour?.kind === "filter";
  const kept = cut ? Math.floor((whole?.length ?? 0) / 2) : limit;
  const content = whole === null ? null : whole.slice(0, Math.min(kept, limit));
  const promptTokens = tokensOf(request.prompt);
  const completionTokens = tokensOf(content ?? refusal ?? "");
  return {
    content,
    refusal,
    finishReason: finishReason(behaviour, content, whole),
    model: rule?.model ?? request.model,
    usage: {
      prompt_tokens: promptTokens,
      completion_tokens: completionTokens,
      total_tokens: promptTokens + completionTokens,
      prompt_tokens_details: { cached_tokens: Math.min(promptTokens, rule?.cachedTokens ?? 0) },
    },
  };
}

function finishReason(
  behaviour: Behaviour | undefined,
  content: string | null,
  whole: string | null,
): Composed["finishReason"] {
  if (behaviour?.kind === "filter") return "content_filter";
  return content === whole ? "stop" : "length";
}

function contentFor(request: ChatRequest, behaviour: Behaviour | undefined): string {
  switch (behaviour?.kind) {
    case "empty":
      return "";
    case "invalid_json":
      return '{"summary": "An answer that breaks off in';
    case "invalid_schema":
      return JSON.stringify({ unexpected: true });
    case "answer":
      return typeof behaviour.content === "string" ? behaviour.content : behaviour.content(request);
    case undefined:
    case "cut":
    case "filter":
    case "garbage":
    case "hang":
    case "refuse":
    case "status":
    case "trickle":
    case "truncate":
    case "wrong_quotation":
      return goodContent(request, behaviour?.kind === "wrong_quotation");
  }
}

function goodContent(request: ChatRequest, wrongQuotations: boolean): string {
  const source = readSourceText(request.userMessage, request.digest, wrongQuotations);
  if (request.schema !== null) return JSON.stringify(fitSchema(request.schema, source));
  const words = [1, 2, 3].map((part) => source.sentence(String(part))).join(" ");
  return request.responseFormat === "json_object" ? JSON.stringify({ answer: words }) : words;
}
