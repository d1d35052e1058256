import { describe, expect, test } from "@jest/globals";
import type { Completed } from "@mythic/llm";
import { completionOf, replayOf, restOf, withoutUsage } from "../src/openai/completion.ts";
import { Shown } from "../src/openai/shown.ts";

const TEXT = "The keeper lit the lamp.";
const CALL = { id: "call_1", type: "function", function: { name: "f", arguments: "{}" } };

function completed(message: Partial<Completed["answer"]["message"]> = {}, usage = USAGE): Completed {
  const answer = {
    text: TEXT,
    message: { role: "assistant" as const, content: TEXT, ...message },
    finishReason: "stop",
    modelAnswered: "gpt-5-mini",
    usage,
    answeredAt: new Date("2026-11-20T10:00:00Z"),
    id: "c",
  };
  return {
    ...{ value: TEXT, text: TEXT, answer, source: "follower", usage, cost: 0, model: "gpt-5-mini", ageMs: 0 },
    ...{ saved: { cost: 1, tokens: 2, cause: "coalesced" }, keyDigest: "k", body: null },
  };
}

const USAGE: Completed["usage"] = { inputTokens: 7, cachedTokens: null, outputTokens: 3, reasoningTokens: 2 };

interface ChunkRead {
  readonly choices: readonly {
    readonly delta: { readonly content?: string; readonly refusal?: string };
    readonly finish_reason: string | null;
  }[];
  readonly usage?: unknown;
}

const chunk = (delta: object, finish: string | null = null, usage: unknown = null) => {
  return { id: "c", choices: [{ index: 0, delta, finish_reason: finish }], usage };
};

function rest(completion: Completed, seen: readonly unknown[], usage = true): readonly ChunkRead[] {
  const shown = new Shown();
  for (const one of seen) shown.add(one);
  return [...restOf(completion, shown, { usage })] as readonly ChunkRead[];
}

const contentOf = (chunks: readonly ChunkRead[]) =>
  chunks.map(({ choices }) => choices[0]?.delta.content ?? "").join("");

describe("what a stream lacks of an answer that broke off before its end", () => {
  test("is the rest of its text, its end and its usage", () => {
    const chunks = rest(completed(), [
      chunk({ role: "assistant", content: "" }),
      chunk({ content: "The keeper" }),
    ]);
    expect(contentOf(chunks)).toBe(" lit the lamp.");
    expect(chunks.at(-2)?.choices[0]?.finish_reason).toBe("stop");
    expect(chunks.at(-1)).toMatchObject({
      choices: [],
      usage: { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 },
    });
  });

  test("is nothing where all was told, and the usage alone where that was not", () => {
    const seen = [chunk({ content: TEXT }), chunk({}, "stop")];
    expect(rest(completed(), seen)).toHaveLength(1);
    expect(rest(completed(), seen, false)).toEqual([]);
    const counted = { choices: [], usage: { prompt_tokens: 7 } };
    expect(rest(completed(), [...seen, counted])).toEqual([]);
    // An endpoint that does not count says nothing of it.
    expect(rest(completed({}, null), seen)).toEqual([]);
  });

  test("is the rest of a refusal", () => {
    const declined = completed({ content: null, refusal: "No, thank you." });
    const chunks = rest(declined, [chunk({ refusal: "No," })]);
    expect(chunks.map(({ choices }) => choices[0]?.delta.refusal ?? "").join("")).toBe(" thank you.");
  });

  test("are the calls of tools where none began, and cannot be told where one did", () => {
    const calling = completed({ content: null, tool_calls: [CALL] });
    expect(rest(calling, [chunk({ role: "assistant", content: null })])[0]).toMatchObject({
      choices: [{ delta: { tool_calls: [{ ...CALL, index: 0 }] } }],
    });
    expect(() => rest(calling, [chunk({ tool_calls: [{ index: 0, id: "call_1" }] })])).toThrow(/ask again/);
  });
});

describe("an answer that is told again", () => {
  test("comes in pieces that end at characters", () => {
    const content = `${"a".repeat(999)}${"🜁".repeat(1_000)}b`;
    const chunks = [...replayOf(completed({ content }), { usage: false })] as readonly ChunkRead[];
    const pieces = chunks.map(({ choices }) => choices[0]?.delta.content ?? "");
    expect(pieces.join("")).toBe(content);
    expect(pieces.length).toBeGreaterThan(4);
    for (const piece of pieces) expect(piece.isWellFormed()).toBe(true);
  });

  test("has the counts that the endpoint gave, and those alone", () => {
    expect(completionOf(completed())).toMatchObject({
      usage: { total_tokens: 10, completion_tokens_details: { reasoning_tokens: 2 } },
    });
    expect(completionOf(completed())).not.toHaveProperty("usage.prompt_tokens_details");
    expect(completionOf(completed({}, null))).not.toHaveProperty("usage");
  });
});

test("a chunk loses its usage for who did not ask for it, and goes away where that is all it tells", () => {
  expect(withoutUsage({ choices: [{}], usage: null })).toEqual({ choices: [{}] });
  expect(withoutUsage({ choices: [], usage: { prompt_tokens: 1 } })).toBeNull();
  // Some endpoints begin with a chunk that has no choices.
  expect(withoutUsage({ choices: [], prompt_filter_results: [] })).toEqual({
    choices: [],
    prompt_filter_results: [],
  });
});
