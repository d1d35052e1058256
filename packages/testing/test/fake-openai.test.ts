import { request as httpRequest } from "node:http";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { type FakeOpenAi, type Rule, startFakeOpenAi } from "../src/fake-openai.ts";
import { startProcess } from "../src/process.ts";
import { waitFor } from "../src/wait.ts";

const STORY =
  "The lamp had burned for ninety years before anybody wrote down who paid for the oil. " +
  "Maren found the first of the books behind the stove. It smelled of salt and of herring. " +
  "Her grandmother had never spoken of a second keeper, and yet there were two handwritings.";
const SENTENCES = STORY.split(/(?<=\.) /);
const SUMMARY = {
  type: "object",
  properties: {
    summary: { type: "string" },
    points: {
      type: "array",
      items: {
        type: "object",
        properties: { statement: { type: "string" }, quote: { type: "string" } },
        required: ["statement", "quote"],
        additionalProperties: false,
      },
    },
  },
  required: ["summary", "points"],
  additionalProperties: false,
};

let fake: FakeOpenAi;
beforeEach(async () => {
  fake = await startFakeOpenAi();
});
afterEach(() => fake.close());

function bodyOf(user: string, extra: object = {}): object {
  const messages = [
    { role: "system", content: "Summarise." },
    { role: "user", content: user },
  ];
  return { model: "gpt-5-mini", messages, ...extra };
}

function withSchema(schema: object): object {
  return { response_format: { type: "json_schema", json_schema: { name: "answer", strict: true, schema } } };
}

async function post(body: object, options: RequestInit = {}): Promise<Response> {
  return await fetch(`${fake.baseUrl}/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    ...options,
  });
}

async function contentOf(body: object): Promise<string> {
  const completion = JSON.parse(await (await post(body)).text());
  return completion.choices[0].message.content;
}

async function answerTo(user: string, schema: object): Promise<unknown> {
  return JSON.parse(await contentOf(bodyOf(user, withSchema(schema))));
}

function property(schema: object): object {
  return { type: "object", properties: { value: schema }, required: ["value"], additionalProperties: false };
}

describe("an answer", () => {
  test("fits the schema and quotes different whole sentences of the user's message", async () => {
    const content = await contentOf(bodyOf(STORY, withSchema(SUMMARY)));
    const answer = JSON.parse(content);
    expect(Object.keys(answer)).toEqual(["summary", "points"]);
    const quotes: string[] = answer.points.map((point: { quote: string }) => point.quote);
    expect(quotes).toHaveLength(3);
    expect(new Set(quotes).size).toBe(3);
    for (const quote of quotes) expect(SENTENCES).toContain(quote);
  });

  test("is the same for the same content and another for other content", async () => {
    const first = await contentOf(bodyOf(STORY, withSchema(SUMMARY)));
    expect(await contentOf(bodyOf(STORY, { ...withSchema(SUMMARY), temperature: 1 }))).toBe(first);
    expect(await contentOf(bodyOf(`${STORY} The end came late.`, withSchema(SUMMARY)))).not.toBe(first);
  });

  test("quotes the marked text, not the words around it", async () => {
    const user = `Quote only what stands below, word for word. <chapter title="One">\n${STORY}\n</chapter> Answer in English, please.`;
    const quotes = JSON.stringify(
      await answerTo(
        user,
        property({ type: "array", items: { type: "object", properties: { quote: { type: "string" } } } }),
      ),
    );
    expect(quotes).not.toContain("Answer in English");
    expect(quotes).not.toContain("word for word");
  });

  test.each(["ids", "points", "keyPoints"])("chooses ids that stand in the prompt for %s", async (name) => {
    const ids = { type: "array", items: { type: "string" } };
    const schema = {
      type: "object",
      properties: { [name]: ids },
      required: [name],
      additionalProperties: false,
    };
    const user =
      "The lamp was lit in 1.9 hours.\n1.1 The lamp went out.\n1.2 Nobody noticed it.\nAnd [2.1] a ship.";
    expect(await answerTo(user, schema)).toEqual({ [name]: ["1.1", "1.2", "2.1"] });
  });

  test("chooses ids from more than half of their groups", async () => {
    const lines = [1, 2, 3, 4, 5, 6, 7, 8].flatMap((group) => [`${group}.1 One.`, `${group}.2 Two.`]);
    const { value } = Object(
      await answerTo(
        lines.join("\n"),
        property({
          type: "object",
          properties: { ids: { type: "array", items: { type: "string" } } },
        }),
      ),
    );
    expect(new Set(value.ids.map((id: string) => id.split(".")[0])).size).toBe(5);
  });

  test("quotes no sentence that stands in the text twice, and none of a few words", async () => {
    const user = `It was all the same to the gulls. ${STORY} It was all the same to the gulls. He went. She stayed.`;
    const quote = { type: "object", properties: { quote: { type: "string" } } };
    const { value } = Object(await answerTo(user, property({ type: "array", items: quote, minItems: 12 })));
    expect(new Set(value.map((item: { quote: string }) => item.quote))).toEqual(new Set(SENTENCES));
  });

  test("takes back no quotation that the message does not hold when told to quote wrongly", async () => {
    fake.script({ does: { kind: "wrong_quotation" } });
    const answer = JSON.parse(await contentOf(bodyOf(STORY, withSchema(SUMMARY))));
    expect(answer.points).toHaveLength(3);
    for (const point of answer.points) expect(STORY).not.toContain(point.quote);
  });

  test.each<[string, object, (value: unknown) => boolean]>([
    ["an enum", { enum: ["hero", "villain"] }, (value) => value === "hero" || value === "villain"],
    ["a const", { const: "only" }, (value) => value === "only"],
    ["a nullable string", { type: ["string", "null"] }, (value) => typeof value === "string"],
    [
      "a choice with null",
      { anyOf: [{ type: "null" }, { type: "integer" }] },
      (value) => Number.isInteger(value),
    ],
    [
      "a bounded integer",
      { type: "integer", minimum: 3, maximum: 5 },
      (value) => Number(value) >= 3 && Number(value) <= 5,
    ],
    [
      "an open number",
      { type: "number", exclusiveMinimum: 0, exclusiveMaximum: 1 },
      (value) => Number(value) > 0 && Number(value) < 1,
    ],
    [
      "a multiple",
      { type: "integer", multipleOf: 7, minimum: 10 },
      (value) => Number(value) % 7 === 0 && Number(value) >= 10,
    ],
    ["a boolean", { type: "boolean" }, (value) => typeof value === "boolean"],
    ["null", { type: "null" }, (value) => value === null],
    ["a date", { type: "string", format: "date" }, (value) => /^\d{4}-\d\d-\d\d$/.test(String(value))],
    [
      "a pattern",
      { type: "string", pattern: "^(?:ch|part)-[0-9]{2,3}$" },
      (value) => /^(?:ch|part)-[0-9]{2,3}$/.test(String(value)),
    ],
    ["a short string", { type: "string", maxLength: 5 }, (value) => String(value).length <= 5],
    ["a long string", { type: "string", minLength: 200 }, (value) => String(value).length >= 200],
    [
      "a short list",
      { type: "array", items: { type: "string" }, maxItems: 1 },
      (value) => Array.isArray(value) && value.length === 1,
    ],
    [
      "a long list",
      { type: "array", items: { type: "boolean" }, minItems: 6 },
      (value) => Array.isArray(value) && value.length === 6,
    ],
  ])("fits %s", async (_name, schema, fits) => {
    const answer = await answerTo(STORY, property(schema));
    const value =
      typeof answer === "object" && answer !== null && "value" in answer ? answer.value : undefined;
    expect(fits(value)).toBe(true);
  });

  test("ends for a schema that refers to itself", async () => {
    const node = {
      type: "object",
      properties: {
        name: { type: "string" },
        next: { anyOf: [{ $ref: "#/$defs/node" }, { type: "null" }] },
        children: { type: "array", items: { $ref: "#/$defs/node" }, maxItems: 1 },
      },
      required: ["name", "next", "children"],
      additionalProperties: false,
    };
    const answer = await answerTo(STORY, { ...property({ $ref: "#/$defs/node" }), $defs: { node } });
    expect(JSON.stringify(answer)).toContain('"next":null');
  });

  test("is cut at the limit of tokens with the reason given", async () => {
    const whole = await contentOf(bodyOf(STORY, withSchema(SUMMARY)));
    const limited = bodyOf(STORY, { ...withSchema(SUMMARY), max_completion_tokens: 10 });
    const { choices, usage } = JSON.parse(await (await post(limited)).text());
    expect(choices[0]).toMatchObject({ finish_reason: "length", message: { content: whole.slice(0, 40) } });
    expect(usage.completion_tokens).toBe(10);
  });

  test("names tokens as a quarter of the letters, cached ones as scripted", async () => {
    fake.script({ cachedTokens: 12 });
    const { usage, choices } = JSON.parse(await (await post(bodyOf(STORY))).text());
    expect(usage).toEqual({
      prompt_tokens: Math.ceil(`Summarise.\n\n${STORY}`.length / 4),
      completion_tokens: Math.ceil(choices[0].message.content.length / 4),
      total_tokens: usage.prompt_tokens + usage.completion_tokens,
      prompt_tokens_details: { cached_tokens: 12 },
    });
  });
});

describe("a stream", () => {
  async function streamed(extra: object): Promise<{ text: string; events: string[] }> {
    const raw = await (await post(bodyOf(STORY, { stream: true, ...extra }))).text();
    const events = raw.split("\n\n").filter(Boolean);
    const chunks = events.slice(0, -1).map((event) => JSON.parse(event.slice("data: ".length)));
    return { text: chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join(""), events };
  }

  test("carries the same answer in pieces and ends with [DONE]", async () => {
    const whole = await contentOf(bodyOf(STORY, withSchema(SUMMARY)));
    const { text, events } = await streamed(withSchema(SUMMARY));
    expect(text).toBe(whole);
    expect(events.length).toBeGreaterThan(5);
    expect(events.at(-1)).toBe("data: [DONE]");
  });

  test("tells its usage only when asked to", async () => {
    const { events } = await streamed({ stream_options: { include_usage: true } });
    const last = JSON.parse(events.at(-2)?.slice(6) ?? "");
    expect(last.choices).toEqual([]);
    expect(last.usage.prompt_tokens).toBeGreaterThan(0);
    const { events: without } = await streamed({});
    expect(without.join("")).not.toContain("prompt_tokens");
  });
});

describe("a rule", () => {
  test("acts on what it matches, as often as it says, and in the order of scripting", async () => {
    const byText = fake.script({ match: "herring", times: 2, does: { kind: "answer", content: "text" } });
    fake.script({ match: /HERRING/i, times: 1, does: { kind: "answer", content: "expression" } });
    fake.script({
      match: (request) => request.model === "other",
      does: { kind: "answer", content: "function" },
    });
    const answers: string[] = [];
    for (let time = 0; time < 3; time += 1) answers.push(await contentOf(bodyOf(STORY)));
    answers.push(await contentOf(bodyOf("Nothing of that.", { model: "other" })));
    expect(answers).toEqual(["text", "text", "expression", "function"]);
    expect(byText.used).toBe(2);
    expect(await contentOf(bodyOf(STORY))).toMatch(/\.$/);
  });

  test("no longer acts once it is removed", async () => {
    fake.script({ does: { kind: "empty" } }).remove();
    expect(await contentOf(bodyOf(STORY))).not.toBe("");
  });

  test.each<[Rule["does"] & object, object]>([
    [{ kind: "truncate" }, { finish_reason: "length" }],
    [{ kind: "filter" }, { finish_reason: "content_filter" }],
    [
      { kind: "refuse", text: "No." },
      { finish_reason: "stop", message: { content: null, refusal: "No." } },
    ],
    [{ kind: "empty" }, { finish_reason: "stop", message: { content: "" } }],
    [{ kind: "invalid_schema" }, { message: { content: '{"unexpected":true}' } }],
  ])("makes the answer %j", async (does, choice) => {
    fake.script({ does });
    const { choices } = JSON.parse(await (await post(bodyOf(STORY, withSchema(SUMMARY)))).text());
    expect(choices[0]).toMatchObject(choice);
  });

  test("makes an answer that is no JSON", async () => {
    fake.script({ does: { kind: "invalid_json" } });
    const content = await contentOf(bodyOf(STORY, withSchema(SUMMARY)));
    expect(() => JSON.parse(content)).toThrow(SyntaxError);
  });

  test("names another model as the one that answered", async () => {
    fake.script({ model: "gpt-5-mini-2025-08-07" });
    expect(JSON.parse(await (await post(bodyOf(STORY))).text()).model).toBe("gpt-5-mini-2025-08-07");
  });

  test("answers with an error status and its headers", async () => {
    fake.script({ times: 1, does: { kind: "status", status: 429, headers: { "retry-after": "7" } } });
    const response = await post(bodyOf(STORY));
    expect(response.status).toBe(429);
    expect(response.headers.get("retry-after")).toBe("7");
    expect(JSON.parse(await response.text()).error.type).toBe("rate_limit_exceeded");
    expect((await post(bodyOf(STORY))).status).toBe(200);
    expect(fake.calls().map((call) => call.outcome)).toEqual(["failed", "answered"]);
  });

  test("cuts the connection before anything was sent", async () => {
    fake.script({ does: { kind: "cut", after: "nothing" } });
    await expect(post(bodyOf(STORY))).rejects.toThrow("fetch failed");
    expect(fake.calls()[0]?.outcome).toBe("cut");
  });

  test("cuts the connection after the headers", async () => {
    fake.script({ does: { kind: "cut", after: "headers" } });
    const response = await post(bodyOf(STORY));
    expect(response.status).toBe(200);
    await expect(response.text()).rejects.toThrow();
  });

  test.each([false, true])(
    "cuts the connection after a hundred bytes of the body, streamed: %s",
    async (stream) => {
      fake.script({ does: { kind: "cut", after: 100 } });
      const received = await bytesUntilCut(JSON.stringify(bodyOf(STORY, { stream })));
      expect(received).toBe(100);
      await waitFor(() => fake.calls()[0]?.outcome === "cut");
    },
  );

  test("lets a call hang until the client goes", async () => {
    fake.script({ does: { kind: "hang" } });
    const controller = new AbortController();
    const pending = post(bodyOf(STORY), { signal: controller.signal });
    await waitFor(() => fake.calls()[0]?.outcome === "open");
    controller.abort();
    await expect(pending).rejects.toThrow("aborted");
    await waitFor(() => fake.calls()[0]?.outcome === "aborted");
  });

  test("lets a call hang in the middle of the body until the client goes", async () => {
    fake.script({ does: { kind: "hang", after: 50 } });
    const controller = new AbortController();
    const response = await post(bodyOf(STORY), { signal: controller.signal });
    const reader = response.body?.getReader();
    const first = await reader?.read();
    expect(Buffer.from(first?.value ?? []).length).toBe(50);
    controller.abort();
    await waitFor(() => fake.calls()[0]?.outcome === "aborted");
  });

  test("leaves out the usage", async () => {
    fake.script({ withoutUsage: true });
    expect(Object.keys(JSON.parse(await (await post(bodyOf(STORY))).text()))).not.toContain("usage");
  });

  test("delays the answer by its latency", async () => {
    fake.script({ latencyMs: 60 });
    const start = performance.now();
    await post(bodyOf(STORY));
    expect(performance.now() - start).toBeGreaterThanOrEqual(58);
  });

  function bytesUntilCut(body: string): Promise<number> {
    return new Promise((resolve) => {
      const outgoing = httpRequest(`${fake.baseUrl}/chat/completions`, { method: "POST" }, (response) => {
        let bytes = 0;
        response.on("data", (chunk: Buffer) => {
          bytes += chunk.length;
        });
        response.on("error", () => undefined);
        response.on("close", () => resolve(bytes));
      });
      outgoing.end(body);
    });
  }
});

describe("the server", () => {
  test("counts calls by content, and the most that were there at once", async () => {
    fake.script({ latencyMs: 50 });
    await Promise.all([post(bodyOf("one")), post(bodyOf("one", { temperature: 0.5 })), post(bodyOf("two"))]);
    expect([...fake.callsByContent().values()].sort()).toEqual([1, 2]);
    expect(fake.mostAtOnce).toBe(3);
    expect(fake.calls().map((call) => call.request.model)).toEqual([
      "gpt-5-mini",
      "gpt-5-mini",
      "gpt-5-mini",
    ]);
  });

  test("lists its models, refuses broken bodies, unknown paths and foreign keys", async () => {
    await using keyed = await startFakeOpenAi({ apiKey: "right", models: ["a", "b"] });
    const authorization = "Bearer right";
    const models = await fetch(`${keyed.baseUrl}/models`, { headers: { authorization } });
    expect(JSON.parse(await models.text()).data.map((model: { id: string }) => model.id)).toEqual(["a", "b"]);
    expect((await fetch(`${keyed.baseUrl}/models`)).status).toBe(401);
    expect((await post({ model: "a" })).status).toBe(400);
    expect((await fetch(`${fake.baseUrl}/chat/completions`, { method: "POST", body: "{" })).status).toBe(400);
    expect((await fetch(`${fake.baseUrl}/nothing`)).status).toBe(404);
    expect(keyed.calls()).toEqual([]);
  });

  test("runs as a process of its own and ends on SIGTERM", async () => {
    const main = join(import.meta.dirname, "../src/fake-openai-main.ts");
    await using child = await startProcess(main, { args: ["--latency", "1"], ready: /^http/ });
    const [baseUrl] = await child.line(/^http.*\/v1$/);
    const response = await fetch(`${baseUrl}/chat/completions`, {
      method: "POST",
      body: JSON.stringify(bodyOf(STORY)),
    });
    expect(response.status).toBe(200);
    const counts = await fetch(new URL("/fake/calls", baseUrl));
    expect(JSON.parse(await counts.text())).toMatchObject({ calls: 1, mostAtOnce: 1 });
    child.signal("SIGTERM");
    expect(await child.ended()).toBe(0);
  });
});
