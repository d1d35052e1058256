import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { type FakeOpenAi, type Rule, startFakeOpenAi } from "@mythic/testing/fake-openai";
import { waitFor } from "@mythic/testing/wait";
import { type CallOptions, openEndpoint, type UpstreamResult } from "../../src/upstream/endpoint.ts";

const WORDS = "The lamp had burned for ninety years before anybody asked who paid for the oil.";
const request = { model: "gpt-5-mini", messages: [{ role: "user", content: "Why did it burn?" }] };
const never = new AbortController().signal;

let fake: FakeOpenAi;
beforeEach(async () => {
  fake = await startFakeOpenAi();
});
afterEach(() => fake.close());

/** Answers with words, or does what the rule says. */
const script = (rule: Rule = {}) => fake.script({ does: { kind: "answer", content: WORDS }, ...rule });

async function ask(options: Partial<CallOptions> = {}, extra: object = {}): Promise<UpstreamResult> {
  const endpoint = openEndpoint({ apiKey: "key", baseUrl: fake.baseUrl });
  return await endpoint.complete({ ...request, ...extra }, { signal: never, ...options });
}

function failed(result: UpstreamResult) {
  if (result.kind === "failed") return { code: result.error.code, mayBePaid: result.mayBePaid };
  throw new Error("The call was answered.");
}

describe.each([false, true])("a call (streamed: %p)", (streamed) => {
  const options = (): Partial<CallOptions> => (streamed ? { onChunk: () => undefined } : {});

  test("gives the answer with its words, model, end and counts", async () => {
    script({ model: "gpt-5-mini-2025-08-07", cachedTokens: 3 });
    expect(await ask(options())).toMatchObject({
      kind: "answered",
      completion: {
        ...{ content: WORDS, finishReason: "stop", modelAnswered: "gpt-5-mini-2025-08-07" },
        message: { role: "assistant", content: WORDS },
        usage: { inputTokens: 4, cachedTokens: 3, outputTokens: 20 },
      },
    });
  });

  test("sends every field of the request, also those that nobody here knows", async () => {
    script();
    await ask(options(), { temperature: 0.3, some_new_field: { deep: [1] }, stream: !streamed });
    expect(fake.calls()[0]?.request.body).toMatchObject({
      ...{ temperature: 0.3, some_new_field: { deep: [1] } },
      ...(streamed ? { stream: true, stream_options: { include_usage: true } } : {}),
    });
    expect(fake.calls()[0]?.request.stream).toBe(streamed);
  });

  test("that is cut after bytes may have been paid for", async () => {
    script({ does: { kind: "cut", after: 300 } });
    expect(failed(await ask(options()))).toEqual({ code: "model_unavailable", mayBePaid: true });
  });

  test("that was never sent was not paid for", async () => {
    await fake.close();
    expect(failed(await ask(options()))).toEqual({ code: "model_unavailable", mayBePaid: false });
  });

  test("that is answered with garbage fails, and may have been paid for", async () => {
    script({ does: { kind: "garbage", body: "<html>A proxy says hello.</html>" } });
    expect(failed(await ask(options()))).toEqual({ code: "model_invalid_answer", mayBePaid: true });
  });

  test("whose answer trickles in for ever ends with its time", async () => {
    script({ does: { kind: "trickle", after: 20, everyMs: 10 } });
    const result = await ask({ ...options(), timeoutMs: 1_000 });
    expect(failed(result)).toEqual({ code: "model_timeout", mayBePaid: true });
    await waitFor(() => fake.calls()[0]?.outcome === "aborted");
  });

  test("that is stopped closes the connection, and may have been paid for", async () => {
    script({ does: { kind: "hang", after: 300 } });
    const stop = new AbortController();
    const asking = ask({ ...options(), signal: stop.signal });
    await waitFor(() => fake.calls().length === 1);
    stop.abort();
    expect(failed(await asking)).toEqual({ code: "model_aborted", mayBePaid: true });
    await waitFor(() => fake.calls()[0]?.outcome === "aborted");
  });

  test("that was stopped before is not sent", async () => {
    expect(failed(await ask({ ...options(), signal: AbortSignal.abort() }))).toEqual({
      ...{ code: "model_aborted", mayBePaid: false },
    });
    expect(fake.calls()).toEqual([]);
  });

  test("tells what the endpoint says is left, and how long a refusal lasts", async () => {
    fake.limit({ requests: 1, tokens: 1_000 });
    expect(await ask(options())).toMatchObject({
      limits: { requests: { limit: 1, remaining: 0 }, tokens: { limit: 1_000 } },
    });
    const refused = await ask(options());
    expect(refused).toMatchObject({ kind: "failed", status: 429, mayBePaid: false });
    expect(refused.kind === "failed" && refused.retryAfterMs).toBeGreaterThan(50_000);
  });

  test("is sent to nobody else, whatever the endpoint says", async () => {
    const other = await startFakeOpenAi();
    script({
      does: { kind: "status", status: 307, headers: { location: `${other.baseUrl}/chat/completions` } },
    });
    expect(failed(await ask(options()))).toEqual({ code: "model_rejected_request", mayBePaid: false });
    expect(other.calls()).toEqual([]);
    await other.close();
  });
});

test("a plain call is given up when its response is longer than any answer", async () => {
  const message = { role: "assistant", content: "x".repeat(8_000_000) };
  const body = JSON.stringify({ choices: [{ index: 0, message, finish_reason: "stop" }] });
  script({ does: { kind: "garbage", body, contentType: "application/json" } });
  expect(failed(await ask({}))).toEqual({ code: "model_invalid_answer", mayBePaid: true });
});

describe("a streamed call", () => {
  test("passes chunks on as they come, not when all are there", async () => {
    script({ chunkMs: 20 });
    const chunks: unknown[] = [];
    const asking = ask({ onChunk: (chunk) => chunks.push(chunk) });
    await waitFor(() => chunks.length > 1, { everyMs: 1 });
    expect(fake.calls()[0]?.outcome).toBe("open");
    await asking;
    expect(chunks.length).toBeGreaterThan(4);
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 20 } });
  });

  test("that goes silent in its midst ends long before its time, though comments keep the connection open", async () => {
    script({ does: { kind: "trickle", after: 700, everyMs: 5 } });
    let chunks = 0;
    const result = await ask({ idleMs: 1_000, timeoutMs: 60_000, onChunk: () => (chunks += 1) });
    expect(failed(result)).toEqual({ code: "model_timeout", mayBePaid: true });
    expect(chunks).toBeGreaterThan(0);
    expect(result.latencyMs).toBeLessThan(20_000);
  });

  test("that is slow but goes on is waited for", async () => {
    script({ chunkMs: 40 });
    expect(await ask({ idleMs: 5_000, onChunk: () => undefined })).toMatchObject({ kind: "answered" });
  });

  test("is whole once its end was said, even if the connection breaks before the counts", async () => {
    const words = fakeStream([
      { choices: [{ index: 0, delta: { role: "assistant", content: "Oil" }, finish_reason: null }] },
      { choices: [{ index: 0, delta: { content: " costs." }, finish_reason: "stop" }] },
    ]);
    script({ does: { kind: "garbage", body: words, contentType: "text/event-stream" } });
    expect(await ask({ onChunk: () => undefined })).toMatchObject({
      ...{ kind: "answered", completion: { content: "Oil costs.", finishReason: "stop", usage: null } },
    });
  });

  test("that ends without saying so is broken, and may have been paid for", async () => {
    const half = fakeStream([{ choices: [{ index: 0, delta: { content: "Oil" }, finish_reason: null }] }]);
    script({ does: { kind: "garbage", body: `${half}data: [DONE]\n\n`, contentType: "text/event-stream" } });
    expect(failed(await ask({ onChunk: () => undefined }))).toEqual({
      ...{ code: "model_unavailable", mayBePaid: true },
    });
  });

  test.each([
    ["rate_limit_exceeded", "model_rate_limited"],
    ["context_length_exceeded", "model_context_exceeded"],
    ["server_error", "model_unavailable"],
  ])("with the error %s in its midst fails as %s, and may have been paid for", async (code, expected) => {
    const body = fakeStream([{ choices: [] }, { error: { message: "No more.", code, type: code } }]);
    script({ does: { kind: "garbage", body, contentType: "text/event-stream" } });
    expect(failed(await ask({ onChunk: () => undefined }))).toEqual({ code: expected, mayBePaid: true });
  });

  test("puts calls of tools together out of their pieces", async () => {
    const piece = (delta: object, reason: string | null = null) => ({
      choices: [{ index: 0, delta, finish_reason: reason }],
    });
    const call = (fields: object, index = 0) => piece({ tool_calls: [{ index, ...fields }] });
    const body = fakeStream([
      piece({ role: "assistant", content: null }),
      call({ id: "a", type: "function", function: { name: "find", arguments: "" } }),
      call({ function: { arguments: '{"word":' } }),
      call({ function: { arguments: '"oil"}' } }),
      call({ id: "b", type: "function", function: { name: "count", arguments: "{}" } }, 1),
      piece({}, "tool_calls"),
    ]);
    script({ does: { kind: "garbage", body, contentType: "text/event-stream" } });
    expect(await ask({ onChunk: () => undefined })).toMatchObject({
      completion: {
        finishReason: "tool_calls",
        message: {
          content: null,
          tool_calls: [
            { id: "a", type: "function", function: { name: "find", arguments: '{"word":"oil"}' } },
            { id: "b", type: "function", function: { name: "count", arguments: "{}" } },
          ],
        },
      },
    });
  });

  test("that never ends is given up when it is longer than any answer", async () => {
    const line = fakeStream([
      { choices: [{ index: 0, delta: { content: "x".repeat(1_000_000) }, finish_reason: null }] },
    ]);
    script({ does: { kind: "garbage", body: line.repeat(70), contentType: "text/event-stream" } });
    expect(failed(await ask({ onChunk: () => undefined }))).toEqual({
      ...{ code: "model_invalid_answer", mayBePaid: true },
    });
  });
});

function fakeStream(chunks: readonly object[]): string {
  return chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join("");
}
