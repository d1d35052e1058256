import { describe, expect, test } from "@jest/globals";
import { readText } from "@mythic/llm";
import { waitFor } from "@mythic/testing/wait";
import { SET_UPS, startAnsweringApi } from "../answering-api.ts";
import { type Asked, ask, askStreamed, refused, type Streamed } from "./ask.ts";
import { openStepModel } from "./step-model.ts";

/** What the headers say of how an answer came about. */
function metaOf({ headers }: Pick<Asked | Streamed, "headers">) {
  const [cache, tier, age, key, cost, saved] = [
    "cache",
    "cache-tier",
    "cache-age",
    "cache-key",
    "cost",
    "saved",
  ].map((name) => headers.get(`x-mythic-${name}`));
  return { cache, tier, age, key, cost, saved };
}

describe.each(SET_UPS)("over %s", (setUp) => {
  test("a stream says how it came about, as a plain answer does [T30 Bifrost#3049]", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    answering.fake.script({ match: "Together", latencyMs: 600 });
    const client = await answering.client();
    const miss = metaOf(await askStreamed(client, "Tell me."));
    // What it cost is known at its end.
    expect(miss).toMatchObject({
      cache: "miss",
      tier: "leader",
      age: "0",
      key: expect.stringMatching(/^v1\./),
    });
    const [streamed, plain] = [await askStreamed(client, "Tell me."), await ask(client, "Tell me.")].map(
      metaOf,
    );
    expect(streamed).toEqual({ ...plain, age: streamed?.age, tier: streamed?.tier });
    expect(streamed).toMatchObject({
      cache: "hit",
      key: miss.key,
      cost: "0",
      saved: expect.stringMatching(/^\d+$/),
    });
    const bypassed = await askStreamed(client, "Tell me.", { headers: { "cache-control": "no-store" } });
    expect(metaOf(bypassed)).toMatchObject({ cache: "bypass", tier: "leader" });

    const together = await Promise.all([1, 2, 3].map(() => askStreamed(client, "Together.")));
    const metas = together.map(metaOf);
    expect(metas.map(({ cache }) => cache).sort()).toEqual(["coalesced", "coalesced", "miss"]);
    expect(metas.filter(({ cache }) => cache === "coalesced").map(({ tier }) => tier)).toEqual([
      "follower",
      "follower",
    ]);
    expect(new Set(metas.map(({ key }) => key)).size).toBe(1);
  });

  test("stream: false, said or unsaid, is one request [T36 Portkey]", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const { authorization } = await answering.api.key("ada");
    const states = [];
    for (const stream of [{ stream: false }, {}, { stream: null }, { stream: false }]) {
      const messages = [{ role: "user", content: "Plainly." }];
      const response = await fetch(`${answering.api.url}/v1/chat/completions`, {
        method: "POST",
        headers: { authorization, "content-type": "application/json" },
        body: JSON.stringify({ model: "gpt-5-mini", temperature: 0, messages, ...stream }),
      });
      await response.json();
      states.push(response.headers.get("x-mythic-cache"));
    }
    expect(states).toEqual(["miss", "hit", "hit", "hit"]);
    expect(answering.fake.calls()).toHaveLength(1);
  });

  test("a streamed answer is kept, and a kept one is streamed in pieces, whoever asked for it first [T37 langchain#23701 langgraphjs#1229]", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const content = "A word, and another. ".repeat(200);
    answering.fake.script({ does: { kind: "answer", content } });
    const client = await answering.client();
    const first = await askStreamed(client, "At length.");
    const [plain, streamed] = [await ask(client, "At length."), await askStreamed(client, "At length.")];
    expect([first.cache, plain.cache, streamed.cache]).toEqual(["miss", "hit", "hit"]);
    expect([first.text, plain.text, streamed.text]).toEqual([content, content, content]);
    const pieces = streamed.chunks.map(({ choices }) => choices[0]?.delta.content ?? "").filter(Boolean);
    expect(pieces.length).toBeGreaterThan(2);
    // The other way round.
    expect((await ask(client, "First plainly.")).cache).toBe("miss");
    const then = await askStreamed(client, "First plainly.");
    expect([then.cache, then.text]).toEqual(["hit", content]);
    expect(answering.fake.calls()).toHaveLength(2);
  });

  test("what a caller does to an answer is not in the next one [T40 langchainjs]", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const client = await answering.client();
    const first = await ask(client, "Say hello.");
    await using beside = await openStepModel(answering);
    const { answers } = beside.answers;
    const signal = new AbortController().signal;
    const caller = { user: "ada", scope: "user:ada", signal, step: null, waits: true } as const;
    const request = {
      model: "gpt-5-mini",
      temperature: 0,
      messages: [{ role: "user", content: "Say hello." }],
    };
    const find = () =>
      answers.complete(
        request,
        { mode: "only-if-cached" },
        { caller, read: (answer) => readText(request, answer) },
      );
    await find();
    const { answer } = await find();
    for (const part of [answer.message, answer.usage, answer]) {
      for (const name of Object.keys(part ?? {})) {
        // It may be refused.
        Reflect.set(part ?? {}, name, "spoilt");
      }
    }
    expect((await find()).answer).toMatchObject({ text: first.text, message: { content: first.text } });
    const again = await ask(client, "Say hello.");
    expect([again.cache, again.completion.choices[0], again.completion.usage]).toEqual([
      "hit",
      expect.objectContaining({ message: { role: "assistant", content: first.text } }),
      first.completion.usage,
    ]);
  });

  test("a call on its way hides nothing that is there, and leaves nothing when it fails [T47 semantic-router#2030]", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const { api, fake } = answering;
    const client = await answering.client();
    await ask(client, "How is it?");
    const anew = fake.script({ match: "How is it?", does: { kind: "hang" } });
    const leaving = new AbortController();
    const messages = [{ role: "user" as const, content: "How is it?" }];
    const onItsWay = client.chat.completions
      .create(
        { model: "gpt-5-mini", temperature: 0, messages },
        { headers: { "cache-control": "no-cache" }, signal: leaving.signal },
      )
      .catch((error: unknown) => error);
    const never = ask(client, "Never answered: How is it?").catch((error: unknown) => error);
    await waitFor(() => fake.calls().length === 3);
    // What is there is there for all who take it, and what is not yet is not.
    expect((await ask(client, "How is it?")).cache).toBe("hit");
    expect((await askStreamed(client, "How is it?")).cache).toBe("hit");
    const headers = { "cache-control": "only-if-cached" };
    const missing = await refused(ask(client, "Never answered: How is it?", { headers }));
    expect([missing.status, missing.code]).toEqual([504, "answer_not_cached"]);
    leaving.abort();
    expect(await onItsWay).toBeInstanceOf(Error);
    expect((await ask(client, "How is it?")).cache).toBe("hit");

    anew.remove();
    await answering.fake.close();
    expect(await never).toBeInstanceOf(Error);
    const after = await refused(ask(client, "Never answered: How is it?", { headers }));
    expect(after.code).toBe("answer_not_cached");
    const ttls = await api.caching.redis?.run(async (connection) => {
      const keys = await connection.keys(`${api.caching.namespace}:*`);
      return await Promise.all(keys.map((key) => connection.pttl(key)));
    });
    for (const ttl of ttls ?? []) expect(ttl).not.toBe(-1);
  });
});
