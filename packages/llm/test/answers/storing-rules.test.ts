import { describe, expect, test } from "@jest/globals";
import type { AnswerPolicy } from "../../src/answers/policy.ts";
import {
  type Candidate,
  type Judged,
  NOT_STORED,
  negativeTtl,
  whyNotStored,
} from "../../src/answers/storing-rules.ts";
import { MODEL_ERROR_CODES, ModelError, type ModelErrorCode } from "../../src/model-error.ts";
import { asking } from "../request/keys.ts";

function answer(extra: Partial<Candidate> = {}): Candidate {
  const { text = "The lamp burned.", ...others } = extra;
  return {
    text,
    message: { role: "assistant", content: text },
    finishReason: "stop",
    modelAnswered: "gpt-5-mini-2025-08-07",
    usage: null,
    answeredAt: new Date("2026-11-20T00:00:00Z"),
    id: "chatcmpl-1",
    ...others,
  };
}

const reuse: AnswerPolicy = { mode: "reuse" };

function why(extra: Partial<Judged> = {}) {
  return whyNotStored({ request: asking("a"), outcome: answer(), policy: reuse, schema: "none", ...extra });
}

const toolCalls = [{ id: "1", type: "function", function: { name: "light", arguments: "{}" } }];
const callingTools = (finishReason: string) =>
  answer({ text: "", message: { role: "assistant", content: null, tool_calls: toolCalls }, finishReason });
const json = { response_format: { type: "json_schema", json_schema: { name: "s", schema: {} } } };

test("a whole, willing, fitting answer of the model that was asked may be kept", () => {
  expect(why()).toBeNull();
  expect(why({ policy: { mode: "refresh" } })).toBeNull();
  expect(why({ outcome: answer({ modelAnswered: "gpt-5-mini" }) })).toBeNull();
});

describe("never kept is", () => {
  test.each(MODEL_ERROR_CODES)("T35 an error: %s (Portkey's replay of a 500 as 200)", (code) => {
    expect(why({ outcome: new ModelError(code, "No.") })).toBe("failed");
  });

  test.each(["", " ", "\n\t", "\u00a0\u2003"])("an empty answer: %j", (text) => {
    expect(why({ outcome: answer({ text }) })).toBe("empty");
  });

  test("T42 an answer that was cut off at the limit (OmniRoute #12885, LightRAG #3446, #3803, #3883)", () => {
    expect(why({ outcome: answer({ finishReason: "length" }) })).toBe("truncated");
  });

  test.each([null, "", "function_call", "tool_calls", "error", "STOP"])(
    "T42 an answer that ended in %p, as a stream does that was cut",
    (finishReason) => {
      expect(why({ outcome: answer({ finishReason }) })).toBe("not_ended");
    },
  );

  test("a refusal, and what a filter kept back", () => {
    const refusal = answer({ message: { role: "assistant", content: null, refusal: "I cannot." }, text: "" });
    expect(why({ outcome: refusal })).toBe("refused");
    expect(why({ outcome: answer({ finishReason: "content_filter" }) })).toBe("filtered");
  });

  test("T41 an answer that does not fit its schema (vercel/ai #9594)", () => {
    expect(why({ schema: "broken" })).toBe("schema");
    expect(why({ request: asking("a", json), schema: "broken" })).toBe("schema");
  });

  test("T38 with a response_format an answer is kept once it was found to fit, and not unchecked (langchainjs #3686)", () => {
    expect(why({ request: asking("a", json), schema: "fits" })).toBeNull();
    expect(why({ request: asking("a", json), schema: "none" })).toBe("schema");
    const object = { response_format: { type: "json_object" } };
    expect(why({ request: asking("a", object), schema: "none" })).toBe("schema");
    expect(why({ request: asking("a", { response_format: { type: "text" } }) })).toBeNull();
    expect(why({ request: asking("a", { response_format: null }) })).toBeNull();
  });

  test("T12 one of several choices, or probabilities or sound, which an answer does not hold (LiteLLM #3272)", () => {
    for (const extra of [{ n: 2 }, { logprobs: true }, { modalities: ["text", "audio"] }]) {
      expect(why({ request: asking("a", extra) })).toBe("parts");
    }
    for (const extra of [{ n: 1 }, { n: null }, { logprobs: false }, { modalities: ["text"] }]) {
      expect(why({ request: asking("a", extra) })).toBeNull();
    }
  });

  test("an answer to a call that bypasses, or wants it kept for no time", () => {
    expect(why({ policy: { mode: "bypass" } })).toBe("mode");
    expect(why({ policy: { mode: "only-if-cached" } })).toBe("mode");
    expect(why({ policy: { mode: "reuse", ttlMs: 0 } })).toBe("ttl");
  });

  test("what the caller turns down, who is asked only about answers that could be kept", () => {
    const seen: string[] = [];
    const storeWhen = ({ text }: { text: string }) => {
      seen.push(text);
      return text.length > 5;
    };
    expect(why({ policy: { ...reuse, storeWhen } })).toBeNull();
    expect(why({ policy: { ...reuse, storeWhen }, outcome: answer({ text: "No." }) })).toBe("turned_down");
    expect(why({ policy: { ...reuse, storeWhen }, outcome: answer({ finishReason: "length" }) })).toBe(
      "truncated",
    );
    expect(seen).toEqual(["The lamp burned.", "No."]);
  });

  test("for a reason that can be said", () => {
    for (const sentence of Object.values(NOT_STORED)) expect(sentence).toMatch(/^[a-z].*[^.]$/);
  });
});

describe("an answer that calls tools", () => {
  test.each(["tool_calls", "stop"])("is kept only when the call asks for it (%s)", (finishReason) => {
    expect(why({ outcome: callingTools(finishReason) })).toBe("tool_calls");
    expect(why({ outcome: callingTools(finishReason), policy: { ...reuse, toolCalls: true } })).toBeNull();
  });

  test("is never kept cut off, nor when its calls are missing", () => {
    const policy = { ...reuse, toolCalls: true };
    expect(why({ outcome: callingTools("length"), policy })).toBe("truncated");
    expect(why({ outcome: answer({ text: "", finishReason: "tool_calls" }), policy })).toBe("not_ended");
  });

  test("needs to fit no schema of a text", () => {
    const policy = { ...reuse, toolCalls: true };
    expect(why({ outcome: callingTools("tool_calls"), policy, request: asking("a", json) })).toBeNull();
  });
});

describe("T44 an answer of another model than the one asked for (lunargate #2)", () => {
  test.each([
    ["gpt-5-mini", "gpt-5-mini-2025-08-07"],
    ["gpt-5-mini", "gpt-5-mini-20250807"],
    ["openai/gpt-5-mini", "openai/gpt-5-mini-2025-08-07"],
  ])("is no other model when %s is answered by its snapshot %s", (model, modelAnswered) => {
    expect(why({ request: asking("a", { model }), outcome: answer({ modelAnswered }) })).toBeNull();
  });

  test.each([
    ["gpt-5-mini", "gpt-5-nano"],
    ["gpt-5-mini", "gpt-5-mini-turbo"],
    ["gpt-5-mini", "gpt-5-mini-2025-99-99"],
    ["gpt-5", "gpt-5-mini-2025-08-07"],
    ["gpt-5-mini-2025-08-07", "gpt-5-mini"],
    ["gpt-5-mini-2025-08-07", "gpt-5-mini-2026-01-01"],
    ["gpt-5-mini", ""],
    ["gpt-5-mini", "GPT-5-MINI"],
  ])("is not kept: %s answered by %s", (model, modelAnswered) => {
    expect(why({ request: asking("a", { model }), outcome: answer({ modelAnswered }) })).toBe("other_model");
  });

  test("is kept when the configuration knows the alias", () => {
    const request = asking("a", { model: "our-deployment" });
    const isAlias = (asked: string, answered: string) =>
      asked === "our-deployment" && answered === "gpt-4o-2024-08-06";
    const outcome = answer({ modelAnswered: "gpt-4o-2024-08-06" });
    expect(why({ request, outcome, isAlias })).toBeNull();
    expect(why({ request, outcome: answer({ modelAnswered: "gpt-4o" }), isAlias })).toBe("other_model");
  });

  test("is not assumed where the endpoint does not say who answered", () => {
    expect(why({ outcome: answer({ modelAnswered: null }) })).toBeNull();
  });
});

describe("an error is remembered", () => {
  const remembered: readonly ModelErrorCode[] = ["model_context_exceeded", "model_rejected_request"];

  test.each(remembered)("for a minute at most, when the request is to blame: %s", (code) => {
    const error = new ModelError(code, "No.");
    expect(negativeTtl(error, reuse)).toBe(60_000);
    expect(negativeTtl(error, { mode: "refresh", ttlMs: 3_600_000 })).toBe(60_000);
    expect(negativeTtl(error, { mode: "reuse", ttlMs: 10_000 })).toBe(10_000);
    expect(negativeTtl(error, { mode: "reuse", ttlMs: 0 })).toBeNull();
    expect(negativeTtl(error, { mode: "bypass" })).toBeNull();
  });

  test.each(MODEL_ERROR_CODES.filter((code) => !remembered.includes(code)))("T35 never for %s", (code) => {
    expect(negativeTtl(new ModelError(code, "No."), reuse)).toBeNull();
  });
});
