import { describe, expect, test } from "@jest/globals";
import { startFakeOpenAi } from "@mythic/testing/fake-openai";
import { startRedisCluster } from "@mythic/testing/redis-cluster";
import { waitFor } from "@mythic/testing/wait";
import type OpenAI from "openai";
import { NO_POLICIES } from "../../src/policies.ts";
import { type AnsweringApi, SET_UPS, startAnsweringApi } from "../answering-api.ts";
import { ask, refused } from "./ask.ts";

describe.each(SET_UPS)("over %s", (setUp) => {
  test("an answer of one model is not given for another, and no-cache asks again [T1 litellm#3199]", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const { fake } = answering;
    fake.script({ does: { kind: "answer", content: ({ model }) => `${model} ${fake.calls().length}` } });
    const client = await answering.client();
    const states: [string | null, string | null][] = [];
    for (const wishes of [
      { model: "gpt-5-mini" },
      { model: "gpt-5-nano" },
      { model: "gpt-5-mini", headers: { "cache-control": "no-cache" } },
      { model: "gpt-5-mini" },
    ]) {
      const { cache, text } = await ask(client, "Which one are you?", wishes);
      states.push([cache, text]);
    }
    expect(states).toEqual([
      ["miss", "gpt-5-mini 0"],
      ["miss", "gpt-5-nano 1"],
      ["miss", "gpt-5-mini 2"],
      ["hit", "gpt-5-mini 2"],
    ]);
  });

  test("users share no answer, and none can find out what another asked [T2 litellm#29955 litellm#29957]", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const { fake } = answering;
    const [ada, bob] = [await answering.client("ada"), await answering.client("bob")];
    const prompt = "What do I owe?";
    const first = await ask(ada, prompt, { user: "ada" });
    const ofAda = first.headers.get("x-mythic-cache-key") ?? "";
    expect(ofAda).not.toBe("");

    const probe = {
      "cache-control": "only-if-cached",
      "x-mythic-cache-key": ofAda,
      "x-mythic-scope": "user:ada",
    };
    const nothing = await refused(ask(bob, prompt, { user: "ada", headers: probe, prompt_cache_key: ofAda }));
    expect([nothing.status, nothing.code]).toEqual([504, "answer_not_cached"]);
    const unasked = await refused(
      ask(bob, "Never asked.", { headers: { "cache-control": "only-if-cached" } }),
    );
    expect(nothing.message).toBe(unasked.message);

    const second = await ask(bob, prompt, { user: "ada" });
    expect(second.cache).toBe("miss");
    expect(second.headers.get("x-mythic-cache-key")).not.toBe(ofAda);
    expect((await ask(ada, prompt, { user: "ada" })).cache).toBe("hit");
    expect(fake.calls()).toHaveLength(2);
  });

  test("of many users who ask the same of two processes at once each gets their own answer [T3 litellm#25447]", async () => {
    await using one = await startAnsweringApi(setUp, { config: { policies: NO_POLICIES } });
    if (one === null) return;
    await using other = await startAnsweringApi(setUp, { beside: one, config: { policies: NO_POLICIES } });
    await soak([one, other ?? one]);
  });

  test("the same request is found every time, and one that only sounds like it never [T24 litellm#6954]", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const { fake } = answering;
    const client = await answering.client();
    const on = await ask(client, "Turn dark mode on.");
    const again = await Promise.all(Array.from({ length: 50 }, () => ask(client, "Turn dark mode on.")));
    expect(new Set(again.map(({ cache, text }) => `${cache} ${text}`))).toEqual(new Set([`hit ${on.text}`]));
    for (const prompt of [
      "Turn dark mode off.",
      "turn dark mode on.",
      "Turn dark mode on",
      "Turn dark mode on. ",
    ]) {
      expect([prompt, (await ask(client, prompt)).cache]).toEqual([prompt, "miss"]);
    }
    expect(fake.calls()).toHaveLength(5);
  });
});

test("the same holds over a Redis Cluster with replicas [T3 litellm#25447]", async () => {
  await using cluster = await startRedisCluster({ replicas: 1 });
  const options = { redisUrl: cluster.url, config: { policies: NO_POLICIES } };
  await using one = await startAnsweringApi("Redis and MongoDB", options);
  if (one === null) return;
  await using other = await startAnsweringApi("Redis and MongoDB", { beside: one, ...options });
  await soak([one, other ?? one]);
}, 60_000);

const USERS = 8;
const QUESTIONS = 5;
const TIMES = 4;

/** Every user asks the same questions of every process, all at once, plain and streamed. The endpoint answers with who is asked for. */
async function soak(apis: readonly AnsweringApi[]): Promise<void> {
  const [{ fake }] = apis as [AnsweringApi];
  const answerTo = (user: unknown, question: string) => `The secret of ${String(user)}. ${question}`;
  const rule = fake.script({
    latencyMs: 20,
    does: { kind: "answer", content: ({ body, userMessage }) => answerTo(body["user"], userMessage) },
  });
  const wrong: string[] = [];
  const users = Array.from({ length: USERS }, (_, index) => `user${index}`);
  const asking = async (client: OpenAI, user: string, round: number) => {
    for (let number = 0; number < QUESTIONS; number += 1) {
      const question = `Question ${number}?`;
      // The one field that tells the endpoint who is asked for is in no key.
      const { text } = await ask(client, question, { user });
      if (text !== answerTo(user, question)) wrong.push(`${user}, round ${round}: ${text}`);
    }
  };
  await Promise.all(
    users.flatMap((user) =>
      apis.map(async (api) => {
        const client = await api.client(user);
        await Promise.all(Array.from({ length: TIMES }, (_, round) => asking(client, user, round)));
      }),
    ),
  );
  expect(wrong).toEqual([]);
  // Fewer calls than callers: answers were shared all the while, each with its own user.
  expect(rule.used).toBeGreaterThanOrEqual(USERS * QUESTIONS);
  expect(rule.used).toBeLessThan(USERS * QUESTIONS * TIMES * apis.length);
}

test("an answer that one process replaced is seen at once by another that has the old one in its memory [T18 litellm#9820]", async () => {
  await using fake = await startFakeOpenAi();
  fake.script({ does: { kind: "answer", content: () => `Answer ${fake.calls().length}` } });
  await using one = await startAnsweringApi("Redis and MongoDB", { fake });
  if (one === null) return;
  await using other = await startAnsweringApi("Redis and MongoDB", { fake, beside: one });
  const [here, there] = [await one.client(), await (other ?? one).client()];
  const prompt = "What is new?";
  expect((await ask(here, prompt)).text).toBe("Answer 0");
  await waitFor(async () => (await ask(there, prompt)).headers.get("x-mythic-cache-tier") === "l1");
  expect((await ask(here, prompt, { headers: { "cache-control": "no-cache" } })).text).toBe("Answer 1");
  const seen = await waitFor(
    async () => {
      const { text, cache } = await ask(there, prompt);
      return text === "Answer 1" && cache;
    },
    { everyMs: 5, what: "the other process to hear of it" },
  );
  expect(seen).toBe("hit");
  expect(fake.calls()).toHaveLength(2);
});
