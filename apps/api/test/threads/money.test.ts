import { describe, expect, test } from "@jest/globals";
import { Upstream, Upstreams } from "@mythic/llm";
import { type FakeOpenAi, startFakeOpenAi } from "@mythic/testing/fake-openai";
import { waitFor } from "@mythic/testing/wait";
import { APIError, type OpenAI } from "openai";
import { SET_UPS, startAnsweringApi } from "../answering-api.ts";
import { ask, askStreamed, refused, usageOf } from "./ask.ts";

/** The endpoint with limits of its account. */
function limited(
  fake: FakeOpenAi,
  limits: { readonly requestsPerMinute?: number; readonly tokensPerMinute?: number },
) {
  const { requestsPerMinute = null, tokensPerMinute = null } = limits;
  const upstream = new Upstream({
    ...{ name: "fake", baseUrl: fake.baseUrl, apiKey: "up", models: ["*"] },
    limits: { requestsPerMinute, tokensPerMinute },
  });
  return { upstreams: new Upstreams([upstream]) };
}

/** Nobody is to be asked twice, so that each call counts. */
const ANEW = { headers: { "cache-control": "no-store" } };

describe.each(SET_UPS)("over %s", (setUp) => {
  test("a hit costs nothing, and what it saved is counted apart by cause [T19 litellm#1783 litellm#14749 litellm#39960 litellm#20132]", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const { api, fake } = answering;
    const client = await answering.client();
    const first = await ask(client, "What does it cost?");
    const cost = Number(first.headers.get("x-mythic-cost"));
    expect(cost).toBeGreaterThan(0);
    expect(first.headers.get("x-mythic-saved")).toBe("0");
    for (const again of [ask, askStreamed, ask]) {
      const { headers } = await again(client, "What does it cost?");
      expect([headers.get("x-mythic-cost"), headers.get("x-mythic-saved")]).toEqual(["0", String(cost)]);
    }
    const { prompt_tokens: input = 0, completion_tokens: output = 0 } = first.completion.usage ?? {};
    const tokens = input + output;
    const usage = await waitFor(async () => {
      const total = await usageOf(api, "ada");
      return total.saved.cache_hit.calls === 3 && total;
    });
    expect(usage.spent).toMatchObject({ calls: 1, cost, tokens, unpriced_calls: 0 });
    expect(usage.saved.cache_hit).toEqual({
      calls: 3,
      cost: 3 * cost,
      tokens: 3 * tokens,
      unpriced_calls: 0,
    });

    fake.script({ match: "At once?", latencyMs: 600 });
    const together = await Promise.all([1, 2, 3].map(() => ask(client, "At once?")));
    const costs = together.map(({ headers }) => Number(headers.get("x-mythic-cost"))).sort((a, b) => a - b);
    expect([costs[0], costs[1]]).toEqual([0, 0]);
    expect(costs[2]).toBeGreaterThan(0);
    const later = await waitFor(async () => {
      const total = await usageOf(api, "ada");
      return total.saved.coalesced.calls === 2 && total;
    });
    expect(later.saved.coalesced.cost).toBe(2 * (costs[2] ?? 0));
    expect(later.spent).toMatchObject({ calls: 2, cost: cost + (costs[2] ?? 0) });
    expect((await usageOf(api, "bob")).spent.calls).toBe(0);
  });

  test("what a model of unknown price costs or saves is unknown, and not 0 [T19 litellm#1783]", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const client = await answering.client();
    const first = await ask(client, "Anything?", { model: "mystery" });
    const hit = await ask(client, "Anything?", { model: "mystery" });
    expect([first.headers.get("x-mythic-cost"), hit.headers.get("x-mythic-saved")]).toEqual([null, null]);
    const usage = await waitFor(async () => {
      const total = await usageOf(answering.api, "ada");
      return total.saved.cache_hit.calls === 1 && total;
    });
    expect([usage.spent.unpriced_calls, usage.saved.cache_hit.unpriced_calls]).toEqual([1, 1]);
  });

  test("what a call puts aside of the limits is free again when it succeeds, fails or is not even answered [T20 litellm#27639]", async () => {
    await using fake = await startFakeOpenAi();
    // A call puts aside 9,000 tokens and uses a few; no more than 10,000 can be put aside at once.
    const models = limited(fake, { tokensPerMinute: 100_000 });
    await using answering = await startAnsweringApi(setUp, { fake, models });
    if (answering === null) return;
    const client = await answering.client();
    const large = { ...ANEW, max_completion_tokens: 9_000 };
    // What a call really uses is known after some of them, and less is put aside from then on.
    fake.script({ match: "Broken.", does: { kind: "status", status: 500 } });
    fake.script({ match: "Refused.", does: { kind: "status", status: 400 } });
    fake.script({ match: "Forbidden.", does: { kind: "status", status: 401 } });
    const ends = [];
    for (const prompt of ["Broken.", "Refused.", "Forbidden.", "Broken.", "Well.", "Well.", "Well."]) {
      const asking = ask(client, prompt, large);
      ends.push(prompt === "Well." ? (await asking).cache : (await refused(asking)).status);
    }
    expect(ends).toEqual([500, 400, 502, 500, "bypass", "bypass", "bypass"]);
    const { spent, wasted } = await usageOf(answering.api, "ada");
    expect([spent.calls, wasted.unknown.calls]).toEqual([7, 0]);
    expect(spent.tokens).toBeLessThan(1_000);
  });

  test("callers who leave give their places back, and what may have been paid for them is in the books [T20 litellm#27639]", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const { fake, api } = answering;
    const client = await answering.client();
    const hanging = fake.script({ match: "Hang.", does: { kind: "hang" } });
    const leaving = new AbortController();
    // As many as are let in before anything is known of the endpoint.
    const asked = Array.from({ length: 8 }, () => {
      const messages = [{ role: "user" as const, content: "Hang." }];
      const body = { model: "gpt-5-mini", messages, max_completion_tokens: 100 };
      return client.chat.completions.create(body, { signal: leaving.signal });
    });
    await waitFor(() => hanging.used === 8);
    const full = await refused(ask(client, "Is there room?", ANEW));
    expect([full.status, full.code]).toEqual([429, "rate_limit_exceeded"]);
    leaving.abort();
    await Promise.allSettled(asked);
    await waitFor(() => fake.calls().every(({ outcome }) => outcome === "aborted"));
    const usage = await waitFor(async () => {
      const total = await usageOf(api, "ada");
      return total.wasted.unknown.calls === 8 && total;
    });
    expect(usage.wasted.unknown.cost).toBeGreaterThan(0);
    expect((await ask(client, "Is there room?", ANEW)).cache).toBe("bypass");
  });

  test.each([
    ["requests", { requestsPerMinute: 50 }, () => 1],
    ["tokens", { tokensPerMinute: 3_000 }, ({ tokens }: { readonly tokens: number }) => tokens],
  ] as const)(
    "a limit of %s is one for all processes [T21 litellm#4829 litellm#10555 litellm#6288]",
    async (_name, limits, unitsOf) => {
      await using fake = await startFakeOpenAi();
      fake.script({ does: { kind: "answer", content: "Word. ".repeat(30) } });
      const models = limited(fake, limits);
      await using one = await startAnsweringApi(setUp, { fake, models });
      if (one === null) return;
      // On one file processes share nothing but the store; each is told its part of the limit.
      await using other =
        setUp === "SQLite alone" ? null : await startAnsweringApi(setUp, { models, beside: one });
      const clients = [await one.client(), await (other ?? one).client()] as const;
      const begun = performance.now();
      const refusals: APIError[] = [];
      const askMany = async (client: OpenAI) => {
        for (let number = 0; number < 12; number += 1) {
          const end = await ask(client, `Number ${number}?`, ANEW).catch((error: unknown) => error);
          if (end instanceof APIError) refusals.push(end);
        }
      };
      await Promise.all(clients.map(askMany));
      const [limit = 0] = Object.values(limits);
      const most = limit / 10 + (limit * (performance.now() - begun)) / 60_000;
      const calls = fake.calls();
      const used = calls.map(unitsOf);
      // A tenth of the limit at once, what comes back meanwhile, and the call that still found some of it.
      expect(used.reduce((sum, units) => sum + units, 0)).toBeLessThanOrEqual(most + Math.max(...used));
      expect(calls.length).toBeGreaterThanOrEqual(1);
      expect(refusals).toHaveLength(24 - calls.length);
      for (const { status, code, headers } of refusals) {
        expect([status, code]).toEqual([429, "rate_limit_exceeded"]);
        expect(Number(headers?.get("retry-after-ms"))).toBeGreaterThan(0);
      }
    },
  );

  test("under a limit of money a call of which nobody knows what it may cost is refused, and told what is missing", async () => {
    const models = { userLimits: { tokensPerDay: null, costPerDay: 1_000_000_000 } };
    await using answering = await startAnsweringApi(setUp, { models });
    if (answering === null) return;
    const client = await answering.client();
    const error = await refused(ask(client, "How long may it be?"));
    expect([error.status, error.message]).toEqual([429, expect.stringContaining("max_completion_tokens")]);
    expect(error.headers?.get("x-should-retry")).toBe("false");
    expect((await ask(client, "How long may it be?", { max_completion_tokens: 100 })).cache).toBe("miss");
    expect(answering.fake.calls()).toHaveLength(1);
  });
});
