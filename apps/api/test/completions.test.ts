import { describe, expect, test } from "@jest/globals";
import { Upstream, Upstreams } from "@mythic/llm";
import { startFakeOpenAi } from "@mythic/testing/fake-openai";
import { waitFor } from "@mythic/testing/wait";
import OpenAI from "openai";
import { NO_POLICIES } from "../src/policies.ts";
import { SET_UPS, startAnsweringApi } from "./answering-api.ts";
import { startTestApi } from "./test-api.ts";
import { ask, askStreamed, refused } from "./threads/ask.ts";

describe.each(SET_UPS)("POST /v1/chat/completions over %s", (setUp) => {
  test("answers a second time without asking the endpoint, and says how it came to that", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const client = await answering.client();
    const first = await ask(client, "Say hello.");
    const second = await ask(client, "Say hello.");
    expect(second.text).toBe(first.text);
    expect(answering.fake.calls()).toHaveLength(1);

    const { prompt_tokens: input = 0, completion_tokens: output = 0 } = first.completion.usage ?? {};
    const cost = String(input * 250 + output * 2_000);
    expect(mythicHeaders(first.headers)).toEqual({
      "x-mythic-cache": "miss",
      "x-mythic-cache-age": "0",
      "x-mythic-cache-key": expect.stringMatching(/^v1\.[\w-]{43}$/),
      "x-mythic-cache-tier": "leader",
      "x-mythic-cost": cost,
      "x-mythic-saved": "0",
    });
    expect(mythicHeaders(second.headers)).toEqual({
      "x-mythic-cache": "hit",
      "x-mythic-cache-age": expect.stringMatching(/^\d$/),
      "x-mythic-cache-key": first.headers.get("x-mythic-cache-key"),
      "x-mythic-cache-tier": expect.stringMatching(/^(?:l1|redis)$/),
      "x-mythic-cost": "0",
      "x-mythic-saved": cost,
    });
  });

  test("gives the same completion from the cache as from the endpoint", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    answering.fake.script({ model: "gpt-5-mini-2025-08-07", cachedTokens: 3 });
    const client = await answering.client();
    const first = await ask(client, "A prompt of more than three tokens.");
    const second = await ask(client, "A prompt of more than three tokens.");
    expect(second.cache).toBe("hit");
    const { created: _, ...was } = first.completion;
    const { created, ...is } = second.completion;
    expect(is).toMatchObject({
      ...was,
      choices: [{ finish_reason: "stop", message: { content: first.text } }],
    });
    expect(is.usage?.prompt_tokens_details?.cached_tokens).toBe(3);
    expect(created).toBeGreaterThan(1_700_000_000);
  });

  test("asks anew, and keeps nothing, where the caller did not ask for the same answer each time", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const client = await answering.client();
    const states = [];
    for (const temperature of [1, 1, undefined]) {
      const { cache, headers } = await ask(client, "Surprise me.", { temperature });
      states.push([cache, headers.get("x-mythic-cache-tier")]);
    }
    expect(states).toEqual([
      ["bypass", "leader"],
      ["bypass", "leader"],
      ["bypass", "leader"],
    ]);
    const headers = { "x-mythic-cache-mode": "reuse" };
    expect((await ask(client, "Surprise me.", { temperature: 1, headers })).cache).toBe("miss");
    expect((await ask(client, "Surprise me.", { temperature: 1, headers })).cache).toBe("hit");
    expect(answering.fake.calls()).toHaveLength(4);
  });

  test("does what Cache-Control and its own headers ask for", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const { fake } = answering;
    fake.script({ does: { kind: "answer", content: () => `answer ${fake.calls().length + 1}` } });
    const client = await answering.client();
    const asked = async (name: string, value: string) => {
      const { cache, text } = await ask(client, "How is it?", { headers: { [name]: value } });
      return [cache, text];
    };
    const missing = await refused(asked("cache-control", "only-if-cached"));
    expect([missing.status, missing.code, missing.headers?.get("x-should-retry")]).toEqual([
      504,
      "answer_not_cached",
      "false",
    ]);
    expect(await asked("cache-control", "no-store")).toEqual(["bypass", "answer 1"]);
    expect(await asked("x-mythic-cache-mode", "reuse")).toEqual(["miss", "answer 2"]);
    expect(await asked("cache-control", "only-if-cached")).toEqual(["hit", "answer 2"]);
    expect(await asked("cache-control", "max-age=600")).toEqual(["hit", "answer 2"]);
    expect(await asked("cache-control", "max-age=0")).toEqual(["miss", "answer 3"]);
    expect(await asked("cache-control", "no-cache")).toEqual(["miss", "answer 4"]);
    expect(await asked("x-mythic-cache-mode", "refresh")).toEqual(["miss", "answer 5"]);
    expect(await asked("x-mythic-cache-mode", "bypass")).toEqual(["bypass", "answer 6"]);
    expect(await asked("x-mythic-cache-mode", "only-if-cached")).toEqual(["hit", "answer 5"]);
    // For no time at all: what is there is taken, and nothing new is kept.
    expect(await asked("x-mythic-cache-ttl", "0")).toEqual(["hit", "answer 5"]);
    for (const [name, value] of [
      ["x-mythic-cache-mode", "semantic"],
      ["x-mythic-cache-ttl", "a while"],
      ["cache-control", "max-age=soon"],
    ] as const) {
      const error = await refused(asked(name, value));
      expect([value, error.status, error.code]).toEqual([value, 400, "invalid_cache_header"]);
    }
    expect(fake.calls()).toHaveLength(6);
  });

  test("keeps an answer for as long as the caller says, and tells its age", async () => {
    await using answering = await startAnsweringApi(setUp, { config: { policies: NO_POLICIES } });
    if (answering === null) return;
    const client = await answering.client();
    await ask(client, "For a while.");
    await ask(client, "For a moment.", { headers: { "x-mythic-cache-ttl": "1" } });
    const isThere = async (prompt: string) => {
      const asking = ask(client, prompt, { headers: { "cache-control": "only-if-cached" } });
      return await asking.then(
        () => true,
        () => false,
      );
    };
    await waitFor(async () => !(await isThere("For a moment.")));
    const kept = await ask(client, "For a while.");
    expect(kept.cache).toBe("hit");
    expect(Number(kept.headers.get("x-mythic-cache-age"))).toBeGreaterThanOrEqual(1);
  });

  test("sends on every field that it does not know, and nothing of the caller's headers", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const { fake } = answering;
    const client = await answering.client();
    const more = {
      top_k: 5,
      seed: 7,
      metadata: { purpose: "a test" },
      chat_template_kwargs: { enable_thinking: false },
      reasoning_effort: "low" as const,
    };
    await ask(client, "With more.", { ...more, headers: { "x-private": "mine", cookie: "session=mine" } });
    const [call] = fake.calls();
    expect(call?.request.body).toEqual({
      model: "gpt-5-mini",
      temperature: 0,
      messages: [{ role: "user", content: "With more." }],
      ...more,
    });
    expect(call?.headers.authorization).toBe("Bearer up");
    expect(JSON.stringify(call?.headers)).not.toMatch(/mine|myth_/);
  });

  test("asks no other endpoint than those of its configuration, whatever a request says", async () => {
    await using elsewhere = await startFakeOpenAi();
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const client = await answering.client();
    const url = elsewhere.baseUrl;
    const fields = { api_base: url, base_url: url, baseURL: url, endpoint: url, api_key: "theirs", url };
    await ask(client, "Where to?", {
      ...fields,
      model: `${url}/gpt-5-mini`,
      headers: {
        "x-mythic-upstream": url,
        "x-base-url": url,
        "x-portkey-custom-host": url,
        "helicone-target-url": url,
        "x-forwarded-host": new URL(url).host,
        host: new URL(url).host,
        forwarded: `host=${new URL(url).host}`,
      },
    });
    expect(elsewhere.calls()).toHaveLength(0);
    expect(answering.fake.calls().map(({ headers }) => headers.authorization)).toEqual(["Bearer up"]);
    expect(answering.fake.calls()[0]?.headers.host).toBe(new URL(answering.fake.baseUrl).host);
  });

  test("asks each model where it is to be had, and lists those that are named", async () => {
    await using one = await startFakeOpenAi();
    await using other = await startFakeOpenAi();
    const upstreams = new Upstreams([
      new Upstream({ name: "one", baseUrl: one.baseUrl, apiKey: "key-one", models: ["gpt-5-mini", "gpt-5"] }),
      new Upstream({ name: "other", baseUrl: other.baseUrl, apiKey: "key-other", models: ["llama"] }),
    ]);
    await using answering = await startAnsweringApi(setUp, { models: { upstreams } });
    if (answering === null) return;
    const client = await answering.client();
    for (const model of ["gpt-5-mini", "llama", "gpt-5"]) await ask(client, "Who are you?", { model });
    const asked = (calls: ReturnType<typeof one.calls>) =>
      calls.map(({ request, headers }) => [request.model, headers.authorization]);
    expect(asked(one.calls())).toEqual([
      ["gpt-5-mini", "Bearer key-one"],
      ["gpt-5", "Bearer key-one"],
    ]);
    expect(asked(other.calls())).toEqual([["llama", "Bearer key-other"]]);

    const unknown = await refused(ask(client, "Who are you?", { model: "claude" }));
    expect([unknown.status, unknown.code, unknown.type]).toEqual([
      404,
      "model_not_found",
      "invalid_request_error",
    ]);
    const models = await Array.fromAsync(client.models.list());
    expect(models.map(({ id, object }) => [id, object])).toEqual([
      ["gpt-5-mini", "model"],
      ["gpt-5", "model"],
      ["llama", "model"],
    ]);
  });

  test("gives a plain caller what a streamed one was told, and the other way round", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const client = await answering.client();
    const streamed = await askStreamed(client, "First streamed.");
    const plain = await ask(client, "First streamed.");
    expect([plain.cache, plain.text]).toEqual(["hit", streamed.text]);
    const first = await ask(client, "First plain.");
    const then = await askStreamed(client, "First plain.");
    expect([then.cache, then.text]).toEqual(["hit", first.text]);
    expect(answering.fake.calls()).toHaveLength(2);
  });

  test("passes on a text that has no key, each time, and says that it goes past the cache", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const client = await answering.client();
    // Half of a pair of surrogates.
    for (const _ of [1, 2]) expect((await ask(client, "A \ud83d.")).cache).toBe("bypass");
    expect(answering.fake.calls().map(({ request }) => request.userMessage)).toEqual([
      "A \ud83d.",
      "A \ud83d.",
    ]);
  });

  test("tells several choices, which it does not keep", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const client = await answering.client();
    const choice = (index: number) => {
      return { index, message: { role: "assistant", content: `choice ${index}` }, finish_reason: "stop" };
    };
    const body = JSON.stringify({ id: "c", model: "gpt-5-mini", choices: [choice(0), choice(1)] });
    answering.fake.script({ does: { kind: "garbage", body, contentType: "application/json" } });
    for (const _ of [1, 2]) {
      const { cache, headers, completion } = await ask(client, "Two of them.", { n: 2 });
      expect([cache, headers.get("x-mythic-cache-key")]).toEqual(["bypass", null]);
      expect(completion.choices.map(({ message }) => message.content)).toEqual(["choice 0", "choice 1"]);
    }
  });
});

test("before a first key is made any will do on this machine, and none afterwards", async () => {
  await using answering = await startAnsweringApi("SQLite alone");
  if (answering === null) return;
  const { api } = answering;
  const anyone = new OpenAI({ apiKey: "anything", baseURL: `${api.url}/v1`, maxRetries: 0 });
  expect((await ask(anyone, "Hello?")).cache).toBe("miss");
  await api.key("ada");
  expect((await refused(ask(anyone, "Hello?"))).status).toBe(401);
});

test("without a model the endpoint says what to configure, and lists nothing", async () => {
  await using api = await startTestApi();
  const { authorization } = await api.key("ada");
  const response = await fetch(`${api.url}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization, "content-type": "application/json" },
    body: JSON.stringify({ model: "gpt-5-mini", messages: [{ role: "user", content: "Hello?" }] }),
  });
  expect(response.status).toBe(404);
  expect(await response.json()).toEqual({
    error: {
      message: expect.stringContaining("MYTHIC_MODEL"),
      type: "invalid_request_error",
      param: null,
      code: "model_not_found",
    },
  });
  const models = await fetch(`${api.url}/v1/models`, { headers: { authorization } });
  expect(await models.json()).toEqual({ object: "list", data: [] });
});

function mythicHeaders(headers: Headers): Record<string, string> {
  return Object.fromEntries([...headers].filter(([name]) => name.startsWith("x-mythic-")));
}
