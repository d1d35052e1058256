import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { type FakeOpenAi, type Rule, startFakeOpenAi } from "@mythic/testing/fake-openai";
import { freePort } from "@mythic/testing/free-port";
import { waitFor } from "@mythic/testing/wait";
import { z } from "zod";
import { type Asker, MODEL_ERROR_CODES, type Question } from "../src/index.ts";
import { askerWith, failureOf, question, schema } from "./asking.ts";
import { MemoryLedger } from "./memory-ledger.ts";
import { type ModelOptions, modelWith as openModel } from "./model-with.ts";

const DAY_MS = 86_400_000;
let fake: FakeOpenAi;
let ledger: MemoryLedger;
beforeEach(async () => {
  fake = await startFakeOpenAi();
  ledger = new MemoryLedger();
});
afterEach(() => fake.close());

function modelWith(options: Partial<ModelOptions> = {}) {
  return openModel({
    baseUrl: fake.baseUrl,
    timeoutMs: 5000,
    ledger,
    answerReuseMs: 30 * DAY_MS,
    now: () => ledger.now,
    ...options,
  });
}

describe("an answer", () => {
  test("comes back validated, with its call settled in the ledger", async () => {
    fake.script({ cachedTokens: 8, model: "gpt-5-mini-2025-08-07" });
    const conversation = modelWith().conversation(askerWith({ fence: 3 }));
    const value = await conversation.ask(question);
    expect(question.input).toContain(value.quote);
    const row = ledger.row("run1.summary.c1.f3.1");
    expect(row).toMatchObject({
      state: "answered",
      runId: "run1",
      modelAsked: "gpt-5-mini",
      modelAnswered: "gpt-5-mini-2025-08-07",
      cachedTokens: 8,
      outcome: null,
    });
    expect(JSON.parse(row.answer ?? "")).toEqual(value);
    expect(row.cost).toBe(((row.inputTokens ?? 0) - 8) * 250 + 8 * 25 + (row.outputTokens ?? 0) * 2000);
    expect(row.inputTokens ?? 0).toBeGreaterThan(0);
    expect(row.latencyMs).toBeGreaterThanOrEqual(0);
    expect(conversation.reusedAnswers).toBe(0);
  });

  test("is asked for with a strict schema, the instructions apart, and a limit of tokens", async () => {
    await modelWith().conversation(askerWith()).ask(question);
    const [call] = fake.calls();
    expect(call?.request.body).toEqual({
      model: "gpt-5-mini",
      messages: [
        { role: "system", content: question.instructions },
        { role: "user", content: question.input },
      ],
      max_completion_tokens: 500,
      response_format: {
        type: "json_schema",
        json_schema: {
          name: "chapter_summary",
          strict: true,
          schema: {
            type: "object",
            properties: { paragraph: { type: "string" }, quote: { type: "string" } },
            required: ["paragraph", "quote"],
            additionalProperties: false,
          },
        },
      },
    });
    expect(call?.headers.authorization).toBe("Bearer key");
  });

  test("costs an unknown amount, not nothing, when the model's price is not known", async () => {
    await modelWith()
      .conversation(askerWith({ model: "own-model" }))
      .ask(question);
    expect(ledger.row("run1.summary.c1.f1.1").cost).toBeNull();
  });

  test("stays in the books at its most when the endpoint counts no tokens", async () => {
    fake.script({ withoutUsage: true });
    await modelWith().conversation(askerWith()).ask(question);
    const row = ledger.row("run1.summary.c1.f1.1");
    expect(row).toMatchObject({ state: "answered", inputTokens: null, outputTokens: null });
    expect(row.cost).toBeGreaterThanOrEqual(500 * 2000);
  });

  test("has its row opened before anything is sent", async () => {
    fake.script({ does: { kind: "hang" } });
    const controller = new AbortController();
    const asking = failureOf(
      modelWith()
        .conversation(askerWith({ signal: controller.signal }))
        .ask(question),
    );
    await waitFor(() => fake.calls().length === 1);
    const row = ledger.row("run1.summary.c1.f1.1");
    expect(row.state).toBe("sent");
    expect(row.cost).toBeGreaterThanOrEqual(500 * 2000);
    controller.abort();
    await asking;
  });

  test("numbers the calls of a conversation one after the other", async () => {
    const conversation = modelWith().conversation(askerWith());
    const inputs = ["One.", "Two.", "Three."];
    await Promise.all(inputs.map((input) => conversation.ask({ ...question, input })));
    expect([...ledger.rows.keys()]).toEqual([1, 2, 3].map((n) => `ada run1.summary.c1.f1.${n}`));
  });
});

describe("a failed call", () => {
  type Does = NonNullable<Rule["does"]>;

  test.each<[Does, string, boolean]>([
    [{ kind: "truncate" }, "model_truncated", true],
    [{ kind: "refuse" }, "model_refused", false],
    [{ kind: "filter" }, "model_filtered", false],
    [{ kind: "empty" }, "model_empty", true],
    [{ kind: "invalid_json" }, "model_invalid_answer", true],
    [{ kind: "invalid_schema" }, "model_invalid_answer", true],
    [{ kind: "answer", content: '{"paragraph":"p","quote":"q","more":1}' }, "model_invalid_answer", true],
  ])("with an answer of no use (%j) is %s, and was paid for", async (does, code, retryable) => {
    fake.script({ does });
    const error = await failureOf(modelWith().conversation(askerWith()).ask(question));
    expect(error).toMatchObject({ code, retryable, retryAfterMs: null });
    const row = ledger.row("run1.summary.c1.f1.1");
    expect(row).toMatchObject({ state: "failed", outcome: code, answer: null });
    expect(row.inputTokens ?? 0).toBeGreaterThan(0);
    expect(row.cost).toBe((row.inputTokens ?? 0) * 250 + (row.outputTokens ?? 0) * 2000);
  });

  test.each<[number, string | undefined, string, boolean]>([
    [400, undefined, "model_rejected_request", false],
    [404, undefined, "model_rejected_request", false],
    [422, undefined, "model_rejected_request", false],
    [400, "context_length_exceeded", "model_context_exceeded", false],
    [400, "content_filter", "model_filtered", false],
    [401, undefined, "model_unauthorised", false],
    [403, undefined, "model_unauthorised", false],
    [408, undefined, "model_timeout", true],
    [409, undefined, "model_unavailable", true],
    [429, undefined, "model_rate_limited", true],
    [429, "insufficient_quota", "model_rate_limited", false],
    [500, undefined, "model_unavailable", true],
    [503, undefined, "model_unavailable", true],
  ])(
    "with status %p and code %p is %s, was sent once and cost nothing",
    async (status, errorCode, code, retryable) => {
      fake.script({
        does: { kind: "status", status, ...(errorCode === undefined ? {} : { code: errorCode }) },
      });
      const error = await failureOf(modelWith().conversation(askerWith()).ask(question));
      expect(error).toMatchObject({ code, retryable });
      expect(ledger.row("run1.summary.c1.f1.1")).toMatchObject({ state: "failed", outcome: code, cost: 0 });
      expect(fake.calls()).toHaveLength(1);
    },
  );

  test("knows a text that is too long by the endpoint's words", async () => {
    const message = "This model's maximum context length is 8192 tokens.";
    fake.script({ does: { kind: "status", status: 400, message } });
    const error = await failureOf(modelWith().conversation(askerWith()).ask(question));
    expect(error.code).toBe("model_context_exceeded");
  });

  test("passes on how long the endpoint asks to wait, however long", async () => {
    fake.script({ does: { kind: "status", status: 429, headers: { "retry-after": "7200" } } });
    const error = await failureOf(modelWith().conversation(askerWith()).ask(question));
    expect(error.retryAfterMs).toBe(7_200_000);
  });

  test.each<[Does, string]>([
    [{ kind: "cut", after: "nothing" }, "model_unavailable"],
    [{ kind: "cut", after: "headers" }, "model_unavailable"],
    [{ kind: "cut", after: 40 }, "model_unavailable"],
  ])("whose connection broke (%j) is %s, and may have been paid for", async (does, code) => {
    fake.script({ does });
    const error = await failureOf(modelWith().conversation(askerWith()).ask(question));
    expect(error).toMatchObject({ code, retryable: true });
    const row = ledger.row("run1.summary.c1.f1.1");
    expect(row).toMatchObject({ state: "unknown", outcome: code });
    expect(row.cost).toBeGreaterThanOrEqual(500 * 2000);
  });

  test.each([504, 524])("that a proxy did not wait for (%p) may have been paid for", async (status) => {
    fake.script({ does: { kind: "status", status } });
    const error = await failureOf(modelWith().conversation(askerWith()).ask(question));
    expect(error).toMatchObject({ code: "model_unavailable", retryable: true });
    const row = ledger.row("run1.summary.c1.f1.1");
    expect(row).toMatchObject({ state: "unknown", outcome: "model_unavailable" });
    expect(row.cost).toBeGreaterThanOrEqual(500 * 2000);
  });

  test("whose response is longer than any answer is given up, and may have been paid for", async () => {
    let sent = 0;
    const endless = createServer((request, response) => {
      request.resume();
      response.setHeader("content-type", "application/json");
      Readable.from(
        (function* () {
          for (; sent < 100_000_000; sent += 100_000) yield " ".repeat(100_000);
        })(),
      ).pipe(response);
    });
    await once(endless.listen(0, "127.0.0.1"), "listening");
    const { port } = endless.address() as AddressInfo;
    const model = modelWith({ baseUrl: `http://127.0.0.1:${port}/v1` });
    const error = await failureOf(model.conversation(askerWith()).ask(question));
    endless.closeAllConnections();
    endless.close();
    expect(sent).toBeLessThan(50_000_000);
    expect(error).toMatchObject({ code: "model_invalid_answer", retryable: true });
    expect(error.message).toContain("too long");
    expect(ledger.row("run1.summary.c1.f1.1")).toMatchObject({
      state: "unknown",
      outcome: "model_invalid_answer",
    });
  });

  test("to an endpoint that is not there cost nothing", async () => {
    const baseUrl = `http://127.0.0.1:${await freePort()}/v1`;
    const error = await failureOf(modelWith({ baseUrl }).conversation(askerWith()).ask(question));
    expect(error).toMatchObject({ code: "model_unavailable", retryable: true });
    expect(ledger.row("run1.summary.c1.f1.1")).toMatchObject({ state: "failed", cost: 0 });
  });

  test.each<[string, Rule]>([
    ["headers", { does: { kind: "hang" } }],
    ["body", { does: { kind: "hang", after: 40 } }],
  ])(
    "that stalls before the end of its %s ends at the time-out and may have been paid for",
    async (_part, rule) => {
      fake.script(rule);
      const error = await failureOf(modelWith({ timeoutMs: 1_000 }).conversation(askerWith()).ask(question));
      expect(error).toMatchObject({ code: "model_timeout", retryable: true });
      expect(ledger.row("run1.summary.c1.f1.1")).toMatchObject({
        state: "unknown",
        outcome: "model_timeout",
      });
      await waitFor(() => fake.calls()[0]?.outcome === "aborted");
    },
  );

  test("holds neither the key nor the request in its message", async () => {
    fake.script({ does: { kind: "status", status: 400, message: "Bad request: The lamp had burned, key" } });
    const { message } = await failureOf(modelWith().conversation(askerWith()).ask(question));
    expect(message).not.toMatch(/lamp|\bkey\b/);
  });

  test("has a code of the list", async () => {
    fake.script({ does: { kind: "empty" } });
    const { code } = await failureOf(modelWith().conversation(askerWith()).ask(question));
    expect(MODEL_ERROR_CODES).toContain(code);
    expect(MODEL_ERROR_CODES).toHaveLength(17);
  });
});

describe("stopping", () => {
  test("in flight closes the connection to the endpoint and counts the call as perhaps paid", async () => {
    fake.script({ does: { kind: "hang" } });
    const controller = new AbortController();
    const asking = failureOf(
      modelWith()
        .conversation(askerWith({ signal: controller.signal }))
        .ask(question),
    );
    await waitFor(() => fake.calls()[0]?.outcome === "open");
    controller.abort();
    expect((await asking).code).toBe("model_aborted");
    await waitFor(() => fake.calls()[0]?.outcome === "aborted");
    const row = ledger.row("run1.summary.c1.f1.1");
    expect(row).toMatchObject({ state: "unknown", outcome: "model_aborted" });
    expect(row.cost).toBeGreaterThan(0);
  });

  test("before asking sends nothing and opens no row", async () => {
    const error = await failureOf(
      modelWith()
        .conversation(askerWith({ signal: AbortSignal.abort() }))
        .ask(question),
    );
    expect(error).toMatchObject({ code: "model_aborted", retryable: true });
    expect(ledger.rows.size).toBe(0);
    expect(fake.calls()).toEqual([]);
  });
});

describe("an answer in the ledger", () => {
  test("is given again to another run, and not paid for again", async () => {
    const model = modelWith();
    const first = await model.conversation(askerWith()).ask(question);
    const conversation = model.conversation(askerWith({ runId: "run2", stepId: "run2.summary.c1" }));
    expect(await conversation.ask(question)).toEqual(first);
    expect(conversation.reusedAnswers).toBe(1);
    expect(fake.calls()).toHaveLength(1);
    expect(ledger.rows.size).toBe(1);
  });

  test.each<[string, Partial<Asker>, Partial<Question<z.infer<typeof schema>>>]>([
    ["another user", { user: "bea" }, {}],
    ["another recipe", { recipe: "quiz" }, {}],
    ["another version of the recipe", { recipeVersion: 2 }, {}],
    ["another model", { model: "gpt-5" }, {}],
    ["other input", {}, { input: "Something else." }],
    ["other instructions", {}, { instructions: "Be brief." }],
    ["another limit of tokens", {}, { maxOutputTokens: 400 }],
    ["another schema", {}, { schema: schema.extend({ quote: z.string().describe("Exact.") }) }],
  ])("is not given to %s", async (_difference, asker, part) => {
    const model = modelWith();
    await model.conversation(askerWith()).ask(question);
    const other = model.conversation(askerWith({ fence: 2, ...asker }));
    await other.ask({ ...question, ...part });
    expect(other.reusedAnswers).toBe(0);
    expect(fake.calls()).toHaveLength(2);
  });

  test("is not given when the caller asks afresh, and the new one takes its place", async () => {
    const model = modelWith();
    fake.script({ times: 1, does: { kind: "answer", content: '{"paragraph":"old","quote":"q"}' } });
    await model.conversation(askerWith()).ask(question);
    const fresh = await model.conversation(askerWith({ fence: 2, freshSince: new Date() })).ask(question);
    expect(fresh.paragraph).not.toBe("old");
    expect(await model.conversation(askerWith({ fence: 3 })).ask(question)).toEqual(fresh);
    expect(fake.calls()).toHaveLength(2);
  });

  test("is given for as long as answers may be reused and no longer", async () => {
    const model = modelWith();
    await model.conversation(askerWith()).ask(question);
    ledger.now = new Date(ledger.now.getTime() + 30 * DAY_MS);
    await model.conversation(askerWith({ fence: 2 })).ask(question);
    expect(fake.calls()).toHaveLength(1);
    ledger.now = new Date(ledger.now.getTime() + 1);
    await model.conversation(askerWith({ fence: 3 })).ask(question);
    expect(fake.calls()).toHaveLength(2);
  });

  test("is not given when answers are not to be reused at all", async () => {
    const model = modelWith({ answerReuseMs: 0 });
    await model.conversation(askerWith()).ask(question);
    await model.conversation(askerWith({ fence: 2 })).ask(question);
    expect(fake.calls()).toHaveLength(2);
  });

  test("that does not fit the schema's checks any more is asked for anew", async () => {
    const model = modelWith();
    await model.conversation(askerWith()).ask(question);
    const picky = {
      ...question,
      schema: schema.refine((value) => value.paragraph.startsWith("Once"), "No tale."),
    };
    fake.script({ does: { kind: "answer", content: '{"paragraph":"Once.","quote":"q"}' } });
    const conversation = model.conversation(askerWith({ fence: 2 }));
    expect((await conversation.ask(picky)).paragraph).toBe("Once.");
    expect(conversation.reusedAnswers).toBe(0);
  });

  test("is never one that failed", async () => {
    fake.script({ times: 1, does: { kind: "truncate" } });
    const model = modelWith();
    await failureOf(model.conversation(askerWith()).ask(question));
    await model.conversation(askerWith({ fence: 2 })).ask(question);
    expect(fake.calls()).toHaveLength(2);
  });
});

describe("a store that is away", () => {
  test("for a moment does not lose a paid answer", async () => {
    ledger.failingSettlements = 2;
    const value = await modelWith().conversation(askerWith()).ask(question);
    expect(JSON.parse(ledger.row("run1.summary.c1.f1.1").answer ?? "")).toEqual(value);
    expect(fake.calls()).toHaveLength(1);
  });

  test("for longer fails the step, with the row left as sent at its most", async () => {
    ledger.failingSettlements = 10;
    await expect(modelWith().conversation(askerWith()).ask(question)).rejects.toThrow("The store is away.");
    const row = ledger.row("run1.summary.c1.f1.1");
    expect(row.state).toBe("sent");
    expect(row.cost).toBeGreaterThanOrEqual(500 * 2000);
    expect(ledger.failingSettlements).toBe(6);
  });

  test("does not hide why a call failed", async () => {
    ledger.failingSettlements = 10;
    fake.script({ does: { kind: "status", status: 429, headers: { "retry-after": "1" } } });
    const error = await failureOf(modelWith().conversation(askerWith()).ask(question));
    expect(error).toMatchObject({ code: "model_rate_limited", retryAfterMs: 1000 });
  });

  test("when the cost so far is read lets nothing be sent", async () => {
    ledger.failingSpent = 1;
    const asking = modelWith()
      .conversation(askerWith({ maxCost: 1e12 }))
      .ask(question);
    await expect(asking).rejects.toThrow("The store is away.");
    expect(fake.calls()).toEqual([]);
    expect(ledger.rows.size).toBe(0);
  });
});
