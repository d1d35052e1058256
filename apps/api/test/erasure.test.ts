import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { redisUrl } from "@mythic/testing/redis";
import { Redis } from "ioredis";
import type OpenAI from "openai";
import { type AnsweringApi, SET_UPS, startAnsweringApi } from "./answering-api.ts";
import { startedRun, uploadedBook } from "./test-api.ts";

/** A call of a step, before it is sent. */
const NO_ROW = {
  ...{ stepId: "step1", recipe: "summary", recipeVersion: 1, prompt: null, keyId: null, askedAnew: false },
  ...{ upstream: "fake", modelAsked: "m", serviceTier: null, tokens: 10, price: null, cost: null },
};
const SETTLED = {
  ...{ state: "answered" as const, modelAnswered: "m", serviceTier: null, inputTokens: 5, cachedTokens: 0 },
  ...{ outputTokens: 5, price: null, cost: 42, promptCacheSaved: 0, tierSaved: 0, latencyMs: 1 },
  ...{ outcome: null, message: null },
};

describe.each(SET_UPS)("DELETE /answers over %s", (setUp) => {
  let answering: AnsweringApi;
  let ada: OpenAI;

  beforeEach(async () => {
    const started = await startAnsweringApi(setUp);
    if (started === null) throw new Error("There is no MongoDB.");
    answering = started;
    ada = await answering.client("ada");
  });
  afterEach(async () => {
    await answering[Symbol.asyncDispose]();
  });

  async function erase(user: string, query: string, role: "user" | "admin" = "user") {
    const { authorization } = await answering.api.key(user, role);
    const init = { method: "DELETE", headers: { authorization } };
    const response = await fetch(`${answering.api.url}/answers${query}`, init);
    return { status: response.status, body: (await response.json()) as unknown };
  }

  async function ask(client: OpenAI, content = "Say hello.") {
    const messages = [{ role: "user" as const, content }];
    const request = { model: "gpt-5-mini", temperature: 0, messages };
    const { response } = await client.chat.completions.create(request).withResponse();
    return response.headers.get("x-mythic-cache");
  }

  test("makes a user's answers be asked for anew, and leaves others' alone", async () => {
    const bob = await answering.client("bob");
    await ask(ada);
    await ask(bob);
    expect(await erase("ada", "?all=true")).toMatchObject({ status: 200, body: { erased: 1 } });
    expect(await ask(bob)).toBe("hit");
    expect(await ask(ada)).toBe("miss");
  });

  test("of one request by its digest leaves the others", async () => {
    const key = async (content: string) => {
      const messages = [{ role: "user" as const, content }];
      const asking = ada.chat.completions.create({ model: "gpt-5-mini", temperature: 0, messages });
      return (await asking.withResponse()).response.headers.get("x-mythic-cache-key") ?? "";
    };
    const wrong = await key("Say hello.");
    await key("Say goodbye.");
    expect(await erase("ada", `?key=${wrong}`)).toMatchObject({ body: { erased: 1 } });
    expect(await ask(ada)).toBe("miss");
    expect(await erase("bob", `?key=${wrong}`)).toMatchObject({ body: { erased: 0 } });
  });

  test("keeps what they cost", async () => {
    await ask(ada);
    const { store } = answering.api;
    const days = { from: "2020-01-01", to: "2100-01-01" };
    const before = await store.ledger.usage("ada", days);
    await erase("ada", "?all=true");
    expect(await store.ledger.usage("ada", days)).toEqual(before);
  });

  test("by model reaches everyone's when an admin says so, and no one else may", async () => {
    await ask(ada);
    await ask(await answering.client("bob"));
    expect(await erase("bob", "?model=gpt-5-mini&user=*")).toMatchObject({ status: 403 });
    expect(await erase("eve", "?model=gpt-5-mini&user=*", "admin")).toMatchObject({ body: { erased: 2 } });
    expect(await ask(ada)).toBe("miss");
  });

  test.each([
    "",
    "?run=a&book=b",
    "?recipe=summary",
    "?recipe=summary&version=one",
    "?all=yes",
    "?run=",
    "?user=ada",
  ])("refuses %s, and erases nothing", async (query) => {
    await ask(ada);
    expect(await erase("ada", query)).toMatchObject({ status: 400, body: { code: "invalid_selection" } });
    expect(await ask(ada)).toBe("hit");
  });
});

test("an erased answer is in no key of Redis any more", async () => {
  await using answering = await startAnsweringApi("Redis and MongoDB");
  if (answering === null) return;
  const { api } = answering;
  const client = await answering.client("ada");
  const messages = [{ role: "user" as const, content: "Name a rare bird." }];
  answering.fake.script({ does: { kind: "answer", content: "The kagu." } });
  await client.chat.completions.create({ model: "gpt-5-mini", temperature: 0, messages });
  const redis = new Redis(await redisUrl());
  const holding = async () => {
    const keys = await redis.keys(`${api.caching.namespace}:c:*answers*`);
    return (await Promise.all(keys.map((key) => redis.getBuffer(key)))).filter((value) =>
      value?.includes("kagu"),
    );
  };
  try {
    expect(await holding()).toHaveLength(1);
    const { authorization } = await api.key("ada");
    await fetch(`${api.url}/answers?all=true`, { method: "DELETE", headers: { authorization } });
    expect(await holding()).toEqual([]);
  } finally {
    redis.disconnect();
  }
});

test("the texts of answers about a book are erased with it, and what they cost is not", async () => {
  await using answering = await startAnsweringApi("SQLite alone");
  if (answering === null) return;
  const { store } = answering.api;
  const { authorization } = await answering.api.key("ada");
  const book = await uploadedBook(answering.api, { authorization });
  const run = await startedRun(answering.api, book.id, { authorization });
  const row = { ...NO_ROW, id: "call1", scope: "user:ada", runId: run.id };
  await store.ledger.open("ada", row);
  await store.ledger.settle("ada", "call1", { ...SETTLED, answer: "The keeper lit the lamp." });
  const init = { method: "DELETE", headers: { authorization } };
  expect((await fetch(`${answering.api.url}/books/${book.id}`, init)).status).toBe(204);
  expect(await store.ledger.ofRun("ada", run.id)).toMatchObject([
    { answer: null, cost: 42, state: "answered" },
  ]);
});
