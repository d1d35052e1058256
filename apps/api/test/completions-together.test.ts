import { describe, expect, test } from "@jest/globals";
import { Upstream, Upstreams } from "@mythic/llm";
import { waitFor } from "@mythic/testing/wait";
import OpenAI from "openai";
import { type AnsweringApi, SET_UPS, startAnsweringApi } from "./answering-api.ts";
import { ask, askStreamed, refused } from "./threads/ask.ts";
import { openStepModel, type StepModel } from "./threads/step-model.ts";

const TALE = "The keeper lit the lamp and looked out. ".repeat(12);

/** Asks for a stream and notes each piece as it comes. */
function listen(client: OpenAI, prompt: string, signal?: AbortSignal) {
  const pieces: string[] = [];
  const ended = (async () => {
    const body = { model: "gpt-5-mini", temperature: 0, stream: true as const };
    const messages = [{ role: "user" as const, content: prompt }];
    const { data, response } = await client.chat.completions
      .create({ ...body, messages }, signal && { signal })
      .withResponse();
    for await (const chunk of data) pieces.push(chunk.choices[0]?.delta.content ?? "");
    return { text: pieces.join(""), headers: response.headers };
  })();
  // Those who leave are not waited for.
  ended.catch(() => undefined);
  return { pieces, ended };
}

function outcomesOf({ fake }: AnsweringApi): readonly string[] {
  return fake.calls().map(({ outcome }) => outcome);
}

describe.each(SET_UPS)("callers of the chat completions over %s", (setUp) => {
  test("who ask the same at once share one call, streamed and plain", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    answering.fake.script({ latencyMs: 600, chunkMs: 5, does: { kind: "answer", content: TALE } });
    const client = await answering.client();
    const asked = await Promise.all([
      ...Array.from({ length: 5 }, () => askStreamed(client, "A tale.")),
      ...Array.from({ length: 5 }, () => ask(client, "A tale.")),
    ]);
    expect(new Set(asked.map(({ text }) => text))).toEqual(new Set([TALE]));
    const states = asked.map(({ cache }) => cache).sort();
    expect(states).toEqual([...Array<string>(9).fill("coalesced"), "miss"]);
    const followers = asked.filter(({ cache }) => cache === "coalesced");
    for (const { headers } of followers) expect(headers.get("x-mythic-cache-tier")).toBe("follower");
    expect(new Set(asked.map(({ headers }) => headers.get("x-mythic-cache-key"))).size).toBe(1);
    expect(answering.fake.calls()).toHaveLength(1);
  });

  test("who leave end the call when nobody else listens, plain and streamed", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    answering.fake.script({
      match: "streamed",
      chunkMs: 20,
      does: { kind: "answer", content: TALE.repeat(20) },
    });
    answering.fake.script({ match: "plain", does: { kind: "hang" } });
    answering.fake.script({ match: "alone", does: { kind: "hang" } });
    const client = await answering.client();
    const leaving = new AbortController();
    const { pieces } = listen(client, "streamed", leaving.signal);
    const asked = (content: string, temperature: number) => {
      const messages = [{ role: "user" as const, content }];
      const { signal } = leaving;
      return client.chat.completions.create({ model: "gpt-5-mini", temperature, messages }, { signal });
    };
    const plain = [asked("plain", 0), asked("alone", 1)].map((asking) =>
      asking.catch((error: unknown) => error),
    );
    await waitFor(() => pieces.length > 2 && answering.fake.calls().length === 3);
    leaving.abort();
    for (const error of await Promise.all(plain)) expect(error).toBeInstanceOf(OpenAI.APIUserAbortError);
    await waitFor(() => outcomesOf(answering).every((outcome) => outcome === "aborted"));
    // Nothing was kept of what was broken off.
    const headers = { "cache-control": "only-if-cached" };
    expect((await refused(ask(client, "streamed", { headers }))).code).toBe("answer_not_cached");
  });

  test("who leave do not disturb those who stay, also when it was them who came first", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    answering.fake.script({ chunkMs: 20, does: { kind: "answer", content: TALE } });
    const client = await answering.client();
    const leaving = new AbortController();
    const first = listen(client, "A tale.", leaving.signal);
    await waitFor(() => first.pieces.length > 1);
    const second = listen(client, "A tale.");
    await waitFor(() => second.pieces.length > 1);
    leaving.abort();
    const { text, headers } = await second.ended;
    expect([text, headers.get("x-mythic-cache")]).toEqual([TALE, "coalesced"]);
    expect((await ask(client, "A tale.")).cache).toBe("hit");
    expect(answering.fake.calls()).toHaveLength(1);
  });

  test("who pay for nothing are told what they saved", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    answering.fake.script({ latencyMs: 600 });
    const client = await answering.client();
    const asked = await Promise.all([ask(client, "How much?"), ask(client, "How much?")]);
    const amounts = asked.map(({ cache, headers }) => [
      cache,
      headers.get("x-mythic-cost"),
      headers.get("x-mythic-saved"),
    ]);
    const { prompt_tokens: input = 0, completion_tokens: output = 0 } = asked[0].completion.usage ?? {};
    const cost = String(input * 250 + output * 2_000);
    expect(amounts.sort()).toEqual([
      ["coalesced", "0", cost],
      ["miss", cost, "0"],
    ]);
  });

  test("who bypass the cache share nothing", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    answering.fake.script({ latencyMs: 100 });
    const client = await answering.client();
    const asked = await Promise.all([1, 2, 3].map(() => ask(client, "Each.", { temperature: 1 })));
    expect(asked.map(({ cache }) => cache)).toEqual(["bypass", "bypass", "bypass"]);
    expect(answering.fake.calls()).toHaveLength(3);
  });

  test("get the same error when the one call fails", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const does = { kind: "status", status: 422, code: "no_such_voice" } as const;
    answering.fake.script({ latencyMs: 600, does });
    const client = await answering.client();
    const errors = await Promise.all(
      [ask, askStreamed, ask].map((asking) => refused(asking(client, "All at once."))),
    );
    expect(errors.map(({ status }) => status)).toEqual([422, 422, 422]);
    expect(answering.fake.calls()).toHaveLength(1);
  });

  test("of a model whose endpoint cannot be reached are told so, and nothing of where it is", async () => {
    const baseUrl = "http://127.0.0.1:9/v1";
    const upstreams = new Upstreams([new Upstream({ name: "away", baseUrl, apiKey: "k", models: ["*"] })]);
    await using answering = await startAnsweringApi(setUp, { models: { upstreams } });
    if (answering === null) return;
    const client = await answering.client();
    for (const asking of [ask, askStreamed]) {
      const error = await refused(asking(client, "Anyone there?"));
      expect([error.status, error.code]).toEqual([502, "model_unavailable"]);
      expect(error.message).not.toContain("127.0.0.1");
    }
  });
});

describe("callers of two processes with one Redis", () => {
  test("share one call, whose tokens reach both as they come", async () => {
    await using one = await startAnsweringApi("Redis and MongoDB");
    if (one === null) return;
    await using other = await startAnsweringApi("Redis and MongoDB", { beside: one });
    if (other === null) return;
    one.fake.script({ chunkMs: 40, does: { kind: "answer", content: TALE } });
    const first = listen(await one.client(), "A tale.");
    await waitFor(() => first.pieces.length > 1);
    const second = listen(await other.client(), "A tale.");
    // What was said before it came, and then the rest, while the endpoint is still at work.
    await waitFor(() => second.pieces.length > 3);
    expect(outcomesOf(one)).toEqual(["open"]);
    const [leader, follower] = await Promise.all([first.ended, second.ended]);
    expect([leader.text, follower.text]).toEqual([TALE, TALE]);
    const stateOf = ({ headers }: typeof leader) =>
      ["", "-tier", "-key"].map((name) => headers.get(`x-mythic-cache${name}`));
    const key = leader.headers.get("x-mythic-cache-key");
    expect(key).toEqual(expect.any(String));
    expect([stateOf(leader), stateOf(follower)]).toEqual([
      ["miss", "leader", key],
      ["coalesced", "follower", key],
    ]);
    expect(one.fake.calls()).toHaveLength(1);
  });

  test("leave each other alone: the call goes on while one of them listens, and ends with the last", async () => {
    await using one = await startAnsweringApi("Redis and MongoDB");
    if (one === null) return;
    await using other = await startAnsweringApi("Redis and MongoDB", { beside: one });
    if (other === null) return;
    one.fake.script({ match: "stay", chunkMs: 30, does: { kind: "answer", content: TALE } });
    one.fake.script({ match: "go", chunkMs: 30, does: { kind: "answer", content: TALE.repeat(50) } });
    const [here, there] = [await one.client(), await other.client()];
    const leaving = new AbortController();
    const first = listen(here, "One will stay.", leaving.signal);
    await waitFor(() => first.pieces.length > 1);
    const second = listen(there, "One will stay.");
    await waitFor(() => second.pieces.length > 1);
    leaving.abort();
    expect((await second.ended).text).toBe(TALE);
    expect(one.fake.calls()).toHaveLength(1);

    const both = new AbortController();
    const third = listen(here, "Both go.", both.signal);
    await waitFor(() => third.pieces.length > 1);
    const fourth = listen(there, "Both go.", both.signal);
    await waitFor(() => fourth.pieces.length > 1);
    both.abort();
    await waitFor(() => outcomesOf(one).at(-1) === "aborted");
    expect(one.fake.calls()).toHaveLength(2);
  });

  test("get the same error when the one call breaks off in the midst of its stream", async () => {
    await using one = await startAnsweringApi("Redis and MongoDB");
    if (one === null) return;
    await using other = await startAnsweringApi("Redis and MongoDB", { beside: one });
    if (other === null) return;
    one.fake.script({ latencyMs: 1_000, does: { kind: "cut", after: 1_500 } });
    const listening = [listen(await one.client(), "A tale."), listen(await other.client(), "A tale.")];
    const errors = await Promise.all(listening.map(({ ended }) => refused(ended)));
    expect(errors.map(({ code, type }) => [code, type])).toEqual([
      ["model_unavailable", "server_error"],
      ["model_unavailable", "server_error"],
    ]);
    for (const { pieces } of listening) expect(pieces.join("").length).toBeGreaterThan(0);
    expect(one.fake.calls()).toHaveLength(1);
  });

  test("are told that the answer broke off, when the process that asked is gone and another begins anew", async () => {
    await using one = await startAnsweringApi("Redis and MongoDB");
    if (one === null) return;
    await using other = await startAnsweringApi("Redis and MongoDB", { beside: one });
    if (other === null) return;
    one.fake.script({ chunkMs: 30, times: 1, does: { kind: "answer", content: TALE.repeat(50) } });
    one.fake.script({ latencyMs: 100, does: { kind: "answer", content: TALE } });
    const leader = await openStepModel(one);
    const led = lead(leader, "A tale.");
    await waitFor(() => one.fake.calls().length === 1);
    const client = await other.client();
    const streamed = listen(client, "A tale.");
    await waitFor(() => streamed.pieces.length > 1);
    const plain = ask(client, "A tale.");
    await leader[Symbol.asyncDispose]();
    expect(await led).toBeInstanceOf(Error);
    const error = await refused(streamed.ended);
    expect([error.code, error.type]).toEqual(["model_unavailable", "server_error"]);
    expect(error.message).toContain("ask again");
    // Who was shown nothing yet gets the new answer.
    expect((await plain).text).toBe(TALE);
    expect(one.fake.calls()).toHaveLength(2);
  });
});

/** Asks for a stream as a process of its own, and resolves with the error that it ends in. */
async function lead({ answers: { answers } }: StepModel, content: string): Promise<unknown> {
  const request = {
    model: "gpt-5-mini",
    temperature: 0,
    stream: true,
    messages: [{ role: "user", content }],
  };
  const signal = new AbortController().signal;
  const caller = { user: "ada", scope: "user:ada", signal, step: null, waits: true } as const;
  const asking = { caller, read: (answer: { readonly text: string }) => answer.text };
  try {
    for await (const event of answers.stream(request, { mode: "reuse" }, asking)) {
      if (event.type === "done") return event;
    }
    return null;
  } catch (error) {
    return error;
  }
}
