import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { dayOf } from "@mythic/runs";
import type OpenAI from "openai";
import { type AnsweringApi, SET_UPS, startAnsweringApi } from "./answering-api.ts";

const TODAY = dayOf(new Date());

describe.each(SET_UPS)("GET /usage over %s", (setUp) => {
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

  async function usage(user: string, query = "", role: "user" | "admin" = "user") {
    const { authorization } = await answering.api.key(user, role);
    const response = await fetch(`${answering.api.url}/usage${query}`, { headers: { authorization } });
    return { status: response.status, body: (await response.json()) as Record<string, never> };
  }

  function ask(client: OpenAI, content: string) {
    const messages = [{ role: "user" as const, content }];
    return client.chat.completions.create({ model: "gpt-5-mini", temperature: 0, messages });
  }

  test("is nothing before the first call, and not unknown", async () => {
    const { body } = await usage("ada");
    expect(body).toMatchObject({
      user: "ada",
      days: [],
      total: { spent: { calls: 0, cost: 0, unpriced_calls: 0 } },
    });
  });

  test("tells what was spent, and what a hit saved, apart", async () => {
    const first = await ask(ada, "Say hello.");
    await ask(ada, "Say hello.");
    const { body } = await usage("ada");
    const tokens = first.usage?.total_tokens;
    expect(body).toMatchObject({
      from: expect.any(String),
      to: TODAY,
      total: {
        spent: { calls: 1, tokens, unpriced_calls: 0 },
        saved: { cache_hit: { calls: 1, tokens }, coalesced: { calls: 0, cost: 0 } },
        wasted: { unusable: { calls: 0 }, paid_twice: { calls: 0 }, unknown: { calls: 0 } },
      },
      days: [{ day: TODAY, model: "gpt-5-mini" }],
    });
    const { spent, saved } = (
      body as unknown as { total: { spent: { cost: number }; saved: { cache_hit: { cost: number } } } }
    ).total;
    expect(spent.cost).toBeGreaterThan(0);
    expect(saved.cache_hit.cost).toBe(spent.cost);
  });

  test("counts a price that nobody knows as unknown, and never as nothing", async () => {
    await ada.chat.completions.create({
      model: "some-local-model",
      temperature: 0,
      messages: [{ role: "user", content: "Hi." }],
    });
    expect((await usage("ada")).body).toMatchObject({
      total: { spent: { calls: 1, cost: 0, unpriced_calls: 1 } },
    });
  });

  test("counts what was paid for and of no use as wasted", async () => {
    answering.fake.script({ does: { kind: "invalid_json" } });
    const asking = ada.chat.completions.create({
      model: "gpt-5-mini",
      temperature: 0,
      messages: [{ role: "user", content: "Give JSON." }],
      response_format: { type: "json_object" },
    });
    await expect(asking).rejects.toMatchObject({ status: 502 });
    expect((await usage("ada")).body).toMatchObject({
      total: { spent: { calls: 1 }, wasted: { unusable: { calls: 1 } } },
    });
  });

  test("is one's own; an admin sees everyone's, or anyone's", async () => {
    await ask(ada, "One.");
    await ask(await answering.client("bob"), "One.");
    expect((await usage("ada")).body).toMatchObject({ total: { spent: { calls: 1 } } });
    expect(await usage("ada", "?user=bob")).toMatchObject({ status: 403, body: { code: "admin_required" } });
    expect((await usage("eve", "", "admin")).body).toMatchObject({
      user: null,
      total: { spent: { calls: 2 } },
    });
    expect((await usage("eve", "?user=bob", "admin")).body).toMatchObject({
      user: "bob",
      total: { spent: { calls: 1 } },
    });
  });

  test.each(["?from=2026-11-02&to=2026-11-01", "?from=2020-01-01&to=2026-01-01", "?from=yesterday"])(
    "refuses the days of %s",
    async (query) => {
      expect(await usage("ada", query)).toMatchObject({ status: 422, body: { code: "invalid_request" } });
    },
  );

  test("leaves out other days", async () => {
    await ask(ada, "One.");
    expect((await usage("ada", "?from=2026-01-01&to=2026-01-31")).body).toMatchObject({
      days: [],
      total: { spent: { calls: 0 } },
    });
  });
});
