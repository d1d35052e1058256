import { describe, expect, test } from "@jest/globals";
import { NotFoundError } from "openai";
import { type AnsweringApi, SET_UPS, startAnsweringApi } from "../answering-api.ts";
import { ask, askStreamed, refused, type Streamed } from "./ask.ts";

/** With characters of two units wherever a chunk may end. */
const LONG_ANSWER = `a${"🚢".repeat(1_700)}`;

const TOOL_CALL = {
  id: "call_1",
  type: "function",
  function: { name: "find", arguments: '{"what":"bell"}' },
};

/** The answer of a model that calls a tool, as its endpoint sends it: whole or in chunks. */
function scriptToolCall({ fake }: AnsweringApi, latencyMs = 0): void {
  const head = { id: "chatcmpl-tool", created: 1, model: "gpt-5-mini" };
  const usage = { prompt_tokens: 5, completion_tokens: 7, total_tokens: 12 };
  const message = { role: "assistant", content: null, tool_calls: [TOOL_CALL] };
  const choices = [{ index: 0, message, finish_reason: "tool_calls" }];
  const { id, type } = TOOL_CALL;
  const deltas = [
    { role: "assistant", content: null },
    { tool_calls: [{ index: 0, id, type, function: { name: "find", arguments: "" } }] },
    { tool_calls: [{ index: 0, function: { arguments: '{"what":' } }] },
    { tool_calls: [{ index: 0, function: { arguments: '"bell"}' } }] },
  ];
  const chunk = (delta: unknown, reason: string | null = null) => {
    return {
      ...head,
      object: "chat.completion.chunk",
      choices: [{ index: 0, delta, finish_reason: reason }],
    };
  };
  const last = { ...head, object: "chat.completion.chunk", choices: [], usage };
  const chunks = [...deltas.map((delta) => chunk(delta)), chunk({}, "tool_calls"), last];
  fake.script({
    match: ({ stream }) => stream,
    latencyMs,
    does: {
      kind: "garbage",
      contentType: "text/event-stream",
      body: [...chunks.map((one) => JSON.stringify(one)), "[DONE]"]
        .map((data) => `data: ${data}\n\n`)
        .join(""),
    },
  });
  const completion = { ...head, object: "chat.completion", choices, usage };
  fake.script({
    latencyMs,
    does: { kind: "garbage", contentType: "application/json", body: JSON.stringify(completion) },
  });
}

/** What a client makes of the pieces of a tool call. */
function toolCallOf({ chunks }: Streamed) {
  const pieces = chunks.flatMap(({ choices }) => choices[0]?.delta.tool_calls ?? []);
  const [first] = pieces;
  const written = pieces.map((piece) => piece.function?.arguments ?? "").join("");
  return { id: first?.id, type: first?.type, function: { name: first?.function?.name, arguments: written } };
}

const endOf = ({ chunks }: Streamed) => {
  const usage = chunks.find((chunk) => chunk.usage)?.usage;
  const reasons = chunks
    .flatMap(({ choices }) => choices.map((choice) => choice.finish_reason))
    .filter(Boolean);
  return {
    usage,
    reasons,
    heads: new Set(chunks.map(({ id, model, object }) => `${id} ${model} ${object}`)),
  };
};

describe.each(SET_UPS)("over %s", (setUp) => {
  test("a stream that is replayed comes to what the first one came to, to the last character [T7 litellm#11145]", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const { fake } = answering;
    fake.script({ match: "A long", does: { kind: "answer", content: LONG_ANSWER } });
    const client = await answering.client();
    for (const prompt of ["A short answer, please.", "A long answer, please."]) {
      const first = await askStreamed(client, prompt);
      const second = await askStreamed(client, prompt);
      expect([first.cache, second.cache]).toEqual(["miss", "hit"]);
      expect(second.text).toBe(first.text);
      expect(endOf(second)).toEqual(endOf(first));
      expect(second.chunks[0]?.choices[0]?.delta.role).toBe("assistant");
      const pieces = second.chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "");
      expect(pieces.filter((piece) => !piece.isWellFormed())).toEqual([]);
    }
    expect(fake.calls()).toHaveLength(2);
  });

  test("tool calls come through piece by piece, and are asked for each time [T7 litellm#11145]", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    scriptToolCall(answering);
    const client = await answering.client();
    const streamed = [await askStreamed(client, "Find it."), await askStreamed(client, "Find it.")];
    for (const one of streamed) {
      expect(one.cache).toBe("miss");
      expect(toolCallOf(one)).toEqual(TOOL_CALL);
      expect(endOf(one).reasons).toEqual(["tool_calls"]);
    }
    const plain = await ask(client, "Find it.");
    expect([plain.cache, plain.completion.choices[0]?.message.tool_calls]).toEqual(["miss", [TOOL_CALL]]);
    expect(answering.fake.calls()).toHaveLength(3);
  });

  test("callers at the same time get the same tool calls of one call, plain and streamed [T7 litellm#11145]", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const { fake } = answering;
    scriptToolCall(answering, 300);
    const client = await answering.client();
    const streamed = [1, 2, 3].map(() => askStreamed(client, "Find it."));
    const plain = [1, 2].map(() => ask(client, "Find it."));
    for (const one of await Promise.all(streamed)) {
      expect(toolCallOf(one)).toEqual(TOOL_CALL);
      expect(endOf(one).reasons).toEqual(["tool_calls"]);
    }
    for (const { completion } of await Promise.all(plain)) {
      expect(completion.choices[0]?.message.tool_calls).toEqual([TOOL_CALL]);
    }
    expect(fake.calls()).toHaveLength(1);
  });

  test("what was asked for as a stream is there for who asks plainly, and the other way round [T8 litellm#24579]", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const client = await answering.client();
    const streamed = await askStreamed(client, "Streamed first.");
    const plain = await ask(client, "Streamed first.");
    expect([plain.cache, plain.text]).toEqual(["hit", streamed.text]);
    expect(plain.completion.usage).toEqual(endOf(streamed).usage);
    const whole = await ask(client, "Plain first.");
    const replayed = await askStreamed(client, "Plain first.");
    expect([replayed.cache, replayed.text]).toEqual(["hit", whole.text]);
    expect(endOf(replayed).usage).toEqual(whole.completion.usage);
    expect(answering.fake.calls()).toHaveLength(2);
  });

  test("the shapes of OpenAI's API that are not offered are not found, streamed or not, and nothing is asked [T8 litellm#24579]", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const client = await answering.client();
    const body = { model: "gpt-5-mini", input: "Hello." };
    const legacy = { model: "gpt-5-mini", prompt: "Hello." };
    for (const asking of [
      client.responses.create(body),
      client.responses.create({ ...body, stream: true }),
      client.completions.create(legacy),
      client.completions.create({ ...legacy, stream: true }),
    ]) {
      const error = await refused(asking);
      expect(error).toBeInstanceOf(NotFoundError);
      expect([error.status, error.type, error.code]).toEqual([404, "invalid_request_error", "not_found"]);
    }
    expect(answering.fake.calls()).toHaveLength(0);
  });

  test("a streamed hit says that it is one, of which request, how old, and what it saved [T9 litellm#5401 litellm#24120 litellm#8570]", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const client = await answering.client();
    const plain = await ask(client, "Say hello.");
    const { headers } = await askStreamed(client, "Say hello.");
    const told = ["cache", "cache-tier", "cache-key", "cache-age", "cost", "saved"].map((name) => [
      name,
      headers.get(`x-mythic-${name}`),
    ]);
    expect(Object.fromEntries(told)).toEqual({
      cache: "hit",
      "cache-tier": expect.stringMatching(/^(?:l1|redis)$/),
      "cache-key": plain.headers.get("x-mythic-cache-key"),
      "cache-age": expect.stringMatching(/^\d$/),
      cost: "0",
      saved: plain.headers.get("x-mythic-cost"),
    });
    expect(Number(headers.get("x-mythic-saved"))).toBeGreaterThan(0);
    expect(headers.get("content-type")).toMatch(/^text\/event-stream/);
  });

  test("who joins a stream that is on its way is told so [T9 litellm#5401]", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const { fake } = answering;
    fake.script({ latencyMs: 600, chunkMs: 20 });
    const client = await answering.client();
    const all = await Promise.all([1, 2, 3].map(() => askStreamed(client, "Say hello.")));
    expect(all.map(({ cache }) => cache).sort()).toEqual(["coalesced", "coalesced", "miss"]);
    expect(new Set(all.map(({ text }) => text)).size).toBe(1);
    expect(fake.calls()).toHaveLength(1);
  });

  test("no token that the provider had cached is 0, and an endpoint that does not say leaves it out [T10 litellm#36882]", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const { fake } = answering;
    const usage = { prompt_tokens: 5, completion_tokens: 1, total_tokens: 6 };
    const choices = [{ index: 0, message: { role: "assistant", content: "Yes." }, finish_reason: "stop" }];
    const body = JSON.stringify({ id: "chatcmpl-1", model: "gpt-5-mini", choices, usage });
    fake.script({ match: "Untold", does: { kind: "garbage", contentType: "application/json", body } });
    fake.script({ match: "Three", cachedTokens: 3 });
    const client = await answering.client();
    for (const [prompt, cached] of [
      ["None at all?", 0],
      ["Three of them?", 3],
      ["Untold?", undefined],
    ] as const) {
      const first = await ask(client, prompt);
      const hit = await ask(client, prompt);
      const streamed = await askStreamed(client, prompt);
      expect([first.cache, hit.cache, streamed.cache]).toEqual(["miss", "hit", "hit"]);
      for (const told of [first.completion.usage, hit.completion.usage, endOf(streamed).usage]) {
        expect([prompt, told?.prompt_tokens_details?.cached_tokens]).toEqual([prompt, cached]);
        expect(told?.total_tokens).toBe(first.completion.usage?.total_tokens);
      }
    }
  });
});

describe.each(SET_UPS)("over %s, many requests at once", (setUp) => {
  const THREADS =
    "[T13 litellm#2990 litellm#20949 litellm#29284 litellm#41002 litellm#41799 llama_index#19537]";

  test(`those that are there, those that are new and those that are alike each get their own answer, in their own place ${THREADS}`, async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const { fake } = answering;
    fake.script({ match: "Fail", does: { kind: "status", status: 400 } });
    fake.script({ does: { kind: "answer", content: ({ userMessage }) => `Answer to ${userMessage}` } });
    const client = await answering.client();
    for (let round = 0; round < 5; round += 1) {
      const known = numbers(10).map((number) => `Known ${round}.${number}`);
      for (const prompt of known) await ask(client, prompt);
      // Together as many as the endpoint is asked at once before it is known.
      const fresh = numbers(5).map((number) => `New ${round}.${number}`);
      const failing = numbers(3).map((number) => `Fail ${round}.${number}`);
      const before = fake.calls().length;
      const batch = shuffled([...known, ...fresh, ...fresh, ...failing], round + 1);
      const answers = await Promise.allSettled(
        batch.map(async (prompt, index) => (index % 2 === 0 ? ask : askStreamed)(client, prompt)),
      );
      const texts = answers.map((one) => (one.status === "fulfilled" ? one.value.text : "refused"));
      const expected = batch.map((prompt) => (prompt.startsWith("Fail") ? "refused" : `Answer to ${prompt}`));
      expect(texts).toEqual(expected);
      expect(fake.calls().length - before).toBe(fresh.length + failing.length);
    }
  });

  test(`there are no batches and no embeddings, and nothing is asked ${THREADS}`, async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const client = await answering.client();
    const batch = {
      input_file_id: "file-1",
      endpoint: "/v1/chat/completions",
      completion_window: "24h",
    } as const;
    for (const asking of [
      client.batches.create(batch),
      client.batches.list(),
      client.embeddings.create({ model: "text-embedding-3-small", input: ["one", "two"] }),
    ]) {
      expect(await refused(asking)).toMatchObject({ status: 404, code: "not_found" });
    }
    expect(answering.fake.calls()).toHaveLength(0);
  });
});

const numbers = (count: number) => Array.from({ length: count }, (_, index) => index);

/** The same for the same seed, which is not 0. */
function shuffled<Item>(items: readonly Item[], seed: number): readonly Item[] {
  let state = seed;
  const next = () => {
    state = (state * 48_271) % 2_147_483_647;
    return state;
  };
  return items
    .map((item) => ({ item, place: next() }))
    .sort((a, b) => a.place - b.place)
    .map(({ item }) => item);
}
