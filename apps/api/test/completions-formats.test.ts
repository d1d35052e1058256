import { describe, expect, test } from "@jest/globals";
import { waitFor } from "@mythic/testing/wait";
import { zodResponseFormat } from "openai/helpers/zod";
import type { ChatCompletionMessageParam, ChatCompletionTool } from "openai/resources/chat/completions";
import { z } from "zod";
import { SET_UPS, startAnsweringApi } from "./answering-api.ts";
import { ask, askStreamed, refused } from "./threads/ask.ts";

const cardSchema = z.object({ name: z.string(), age: z.number(), traits: z.array(z.string()) });
const CARD = { name: "Ada", age: 36, traits: ["keen"] };
const card = zodResponseFormat(cardSchema, "card");

const TOOLS: ChatCompletionTool[] = [
  {
    type: "function",
    function: {
      name: "weather",
      parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
    },
  },
];

describe.each(SET_UPS)("structured output over %s", (setUp) => {
  test("is parsed by the SDK, from the endpoint and from the cache", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    answering.fake.script({ does: { kind: "answer", content: JSON.stringify(CARD) } });
    const client = await answering.client();
    for (const cache of ["miss", "hit"]) {
      const { data, response } = await client.chat.completions
        .parse({
          model: "gpt-5-mini",
          temperature: 0,
          messages: [{ role: "user", content: "Who is she?" }],
          response_format: card,
        })
        .withResponse();
      expect(response.headers.get("x-mythic-cache")).toBe(cache);
      expect(data.choices[0]?.message.parsed).toEqual(CARD);
    }
    expect(answering.fake.calls()).toHaveLength(1);
    expect(answering.fake.calls()[0]?.request.body["response_format"]).toEqual(card);
  });

  test("is assembled by the SDK from a stream, from the endpoint and from the cache", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    answering.fake.script({ does: { kind: "answer", content: JSON.stringify(CARD) } });
    const client = await answering.client();
    for (const _ of ["from the endpoint", "from the cache"]) {
      const stream = client.chat.completions.stream({
        model: "gpt-5-mini",
        temperature: 0,
        messages: [{ role: "user", content: "Who is she?" }],
        response_format: card,
      });
      const { choices } = await stream.finalChatCompletion();
      expect(choices[0]?.message.parsed).toEqual(CARD);
    }
    expect(answering.fake.calls()).toHaveLength(1);
  });

  test("that does not fit its schema is an error, plain and as an event at the end of a stream", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    answering.fake.script({ does: { kind: "invalid_schema" } });
    const client = await answering.client();
    for (const asking of [ask, askStreamed]) {
      const error = await refused(asking(client, "Who is she?", { response_format: card }));
      expect([error.code, error.type]).toEqual(["model_invalid_answer", "server_error"]);
    }
    expect(answering.fake.calls()).toHaveLength(2);
  });

  test("that was cut off or refused is for the caller to see, as the endpoint gave it", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    answering.fake.script({ times: 1, does: { kind: "truncate" } });
    answering.fake.script({ times: 2, does: { kind: "refuse", text: "No." } });
    const client = await answering.client();
    const cut = await ask(client, "Who is she?", { response_format: card });
    expect(cut.completion.choices[0]?.finish_reason).toBe("length");
    const declined = await ask(client, "Who is she?", { response_format: card });
    expect(declined.completion.choices[0]?.message.refusal).toBe("No.");
    const streamed = await askStreamed(client, "Who is she?", { response_format: card });
    expect(streamed.chunks.map(({ choices }) => choices[0]?.delta.refusal ?? "").join("")).toBe("No.");
    expect(answering.fake.calls()).toHaveLength(3);
  });
});

describe.each(SET_UPS)("tools over %s", (setUp) => {
  const message = {
    role: "assistant" as const,
    content: null,
    tool_calls: [
      { id: "call_1", type: "function" as const, function: { name: "weather", arguments: '{"city":"Ulm"}' } },
      {
        id: "call_2",
        type: "function" as const,
        function: { name: "weather", arguments: '{"city":"Bonn"}' },
      },
    ],
  };
  const completion = {
    id: "chatcmpl-tools",
    object: "chat.completion",
    created: 1_760_000_000,
    model: "gpt-5-mini",
    choices: [{ index: 0, message, finish_reason: "tool_calls", logprobs: null }],
    usage: { prompt_tokens: 20, completion_tokens: 10, total_tokens: 30 },
  };
  const calling = {
    kind: "garbage",
    contentType: "application/json",
    body: JSON.stringify(completion),
  } as const;

  test("are called, and what they said is answered", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const { fake } = answering;
    fake.script({ times: 1, does: calling });
    const client = await answering.client();
    const prompt = "How is the weather?";
    const first = await ask(client, prompt, { tools: TOOLS, tool_choice: "auto" });
    expect(first.completion).toEqual(completion);
    expect(fake.calls()[0]?.request.body).toMatchObject({ tools: TOOLS, tool_choice: "auto" });
    const messages: ChatCompletionMessageParam[] = [
      { role: "user", content: prompt },
      message,
      { role: "tool", tool_call_id: "call_1", content: "Rain." },
      { role: "tool", tool_call_id: "call_2", content: "Sun." },
    ];
    const second = await ask(client, prompt, { tools: TOOLS, messages });
    expect(second.completion.choices[0]?.finish_reason).toBe("stop");
    expect(fake.calls()[1]?.request.body["messages"]).toEqual(messages);
    expect((await ask(client, prompt, { tools: TOOLS, messages })).cache).toBe("hit");
  });

  test("are called anew each time, as calls have effects", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    answering.fake.script({ does: calling });
    const client = await answering.client();
    for (const _ of [1, 2]) {
      const { cache, completion: got } = await ask(client, "How is the weather?", { tools: TOOLS });
      expect([cache, got.choices[0]?.message.tool_calls]).toEqual(["miss", message.tool_calls]);
    }
    expect(answering.fake.calls()).toHaveLength(2);
  });

  test("are called in a stream whose pieces the SDK puts together", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    answering.fake.script({
      does: { kind: "garbage", contentType: "text/event-stream", body: streamOfCalls() },
    });
    const stream = (await answering.client()).chat.completions.stream({
      model: "gpt-5-mini",
      temperature: 0,
      messages: [{ role: "user", content: "How is the weather?" }],
      tools: TOOLS,
    });
    const { choices } = await stream.finalChatCompletion();
    expect(choices[0]).toMatchObject({
      finish_reason: "tool_calls",
      message: { tool_calls: message.tool_calls },
    });
  });

  test("are called for all who ask the same at once, plain and streamed, by one call of the endpoint", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    answering.fake.script({ latencyMs: 600, does: calling });
    const client = await answering.client();
    const asking = ask(client, "How is the weather?", { tools: TOOLS });
    // What is scripted is no stream, so one who wants none has to lead.
    await waitFor(() => answering.fake.calls().length > 0);
    const [plain, other, streamed] = await Promise.all([
      asking,
      ask(client, "How is the weather?", { tools: TOOLS }),
      askStreamed(client, "How is the weather?", { tools: TOOLS }),
    ]);
    expect([plain.cache, other.cache, streamed.cache].sort()).toEqual(["coalesced", "coalesced", "miss"]);
    for (const { completion: got } of [plain, other]) {
      expect(got.choices[0]).toMatchObject({ finish_reason: "tool_calls", message });
    }
    const calls = streamed.chunks.flatMap(({ choices }) => choices[0]?.delta.tool_calls ?? []);
    expect(calls).toEqual(message.tool_calls.map((call, index) => ({ ...call, index })));
    expect(streamed.chunks.at(-2)?.choices[0]?.finish_reason).toBe("tool_calls");
    expect(answering.fake.calls()).toHaveLength(1);
  });

  function streamOfCalls(): string {
    const head = { id: "chatcmpl-tools", object: "chat.completion.chunk", created: 1, model: "gpt-5-mini" };
    const chunk = (delta: object, finish: string | null = null) => {
      return { ...head, choices: [{ index: 0, delta, finish_reason: finish }] };
    };
    const chunks = [
      chunk({ role: "assistant", content: null }),
      ...message.tool_calls.flatMap(({ id, type, function: { name, arguments: all } }, index) => [
        chunk({ tool_calls: [{ index, id, type, function: { name, arguments: "" } }] }),
        chunk({ tool_calls: [{ index, function: { arguments: all.slice(0, 5) } }] }),
        chunk({ tool_calls: [{ index, function: { arguments: all.slice(5) } }] }),
      ]),
      chunk({}, "tool_calls"),
    ];
    return [...chunks.map((one) => JSON.stringify(one)), "[DONE]"]
      .map((data) => `data: ${data}\n\n`)
      .join("");
  }
});
