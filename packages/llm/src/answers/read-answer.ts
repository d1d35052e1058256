import type { z } from "zod";
import { ModelError } from "../model-error.ts";
import type { ChatRequest } from "../request/chat-request.ts";
import type { Answer } from "./answer.ts";
import { checkFormat } from "./check-format.ts";

/** The validated value of a whole, willing, fitting answer; else the error that says what it lacks. */
export function readValue<Value>(answer: Answer, schema: z.ZodType<Value>): Value | ModelError {
  const { message, finishReason, text } = answer;
  if (message.refusal) return new ModelError("model_refused", "The model declined to answer.");
  if (finishReason === "content_filter") {
    return new ModelError("model_filtered", "The endpoint's content filter kept the answer back.");
  }
  if (finishReason === "length") {
    return new ModelError("model_truncated", "The answer was cut off at the limit of output tokens.");
  }
  if (text.trim() === "") return new ModelError("model_empty", "The model answered nothing.");
  if (finishReason !== "stop") {
    return new ModelError("model_truncated", "The answer did not come to its end.");
  }
  return parseValue(text, schema);
}

function parseValue<Value>(text: string, schema: z.ZodType<Value>): Value | ModelError {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    return new ModelError("model_invalid_answer", "The model's answer is not JSON.", { cause });
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  return new ModelError("model_invalid_answer", "The model's answer does not fit the schema.", {
    cause: parsed.error,
  });
}

/** The text as it is, unless it lacks the format that its request asks for. Refusals and what was cut off are the caller's to see. */
export function readText(request: ChatRequest, answer: Answer): string | ModelError {
  const { text, finishReason, message } = answer;
  const isWhole = finishReason === "stop" && !message.refusal && !message.tool_calls?.length;
  if (!isWhole || checkFormat(request, text) !== "broken") return text;
  return new ModelError("model_invalid_answer", "The model's answer does not fit the schema.");
}
