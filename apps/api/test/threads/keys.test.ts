import { describe, expect, test } from "@jest/globals";
import { Upstream, Upstreams } from "@mythic/llm";
import { closeRedis, connectRedis, type RedisConnection } from "@mythic/shared/redis";
import { startFakeOpenAi } from "@mythic/testing/fake-openai";
import { startRedis } from "@mythic/testing/redis";
import { waitFor } from "@mythic/testing/wait";
import { readApiConfig } from "../../src/config.ts";
import { SET_UPS, startAnsweringApi } from "../answering-api.ts";
import { ask, askStreamed, refused } from "./ask.ts";

/** 60 kB, with a word that nothing else says. */
const SECRET = "Xanthippe";
const LONG_PROMPT = `${SECRET} crossed the market. `.repeat(2_400);
const ODD_USER = `${"a".repeat(24)} é/{}*@example.org`;

const HOUR_MS = 3_600_000;

interface KeyInRedis {
  readonly key: string;
  /** Until it goes, in milliseconds; -1: never. */
  readonly ttlMs: number;
}

async function keysIn(redis: RedisConnection): Promise<readonly KeyInRedis[]> {
  const keys = await redis.keys("*");
  return await Promise.all(keys.map(async (key) => ({ key, ttlMs: await redis.pttl(key) })));
}

describe("in a Redis of its own", () => {
  test("every key ends, those of limits, flights and failures too, and none holds a prompt or is long [T4 litellm#6010] [T6 litellm#2700] [T11 litellm#29414]", async () => {
    await using redis = await startRedis();
    await using fake = await startFakeOpenAi();
    const upstreams = new Upstreams([
      new Upstream({
        ...{ name: "fake", baseUrl: fake.baseUrl, apiKey: "up", models: ["*"] },
        limits: { requestsPerMinute: 10_000, tokensPerMinute: 100_000_000 },
      }),
    ]);
    const models = { upstreams, userLimits: { tokensPerDay: 10_000_000, costPerDay: 10 ** 12 } };
    const options = { redisUrl: redis.url, fake, models };
    await using answering = await startAnsweringApi("Redis and MongoDB", options);
    if (answering === null) return;
    await using stack = new AsyncDisposableStack();
    const connection = stack.adopt(connectRedis(redis.url, "queue-producer"), closeRedis);
    const client = await answering.client(ODD_USER);

    const parts = [{ role: "user" as const, content: [{ type: "text" as const, text: LONG_PROMPT }] }];
    // A limit of money needs to know what a call may cost at most.
    const few = { max_completion_tokens: 100 };
    await ask(client, "", { messages: parts, ...few });
    await ask(client, LONG_PROMPT, few);
    await askStreamed(client, `${LONG_PROMPT} Streamed.`, few);
    await Promise.all([1, 2, 3].map(() => ask(client, `${LONG_PROMPT} At once.`, few)));
    fake.script({
      match: "Too long.",
      does: { kind: "status", status: 400, code: "context_length_exceeded" },
    });
    await refused(ask(client, `${LONG_PROMPT} Too long.`, few));
    fake.script({
      match: "Busy.",
      times: 1,
      does: { kind: "status", status: 429, headers: { "retry-after": "1" } },
    });
    await refused(ask(client, `${LONG_PROMPT} Busy.`, few));
    await fetch(`${answering.api.url}/books/my`, { headers: { authorization: "Bearer myth_live_wrong" } });

    const keys = await waitFor(async () => {
      const all = await keysIn(connection);
      const kinds = [
        ":v:answers.",
        ":a:",
        ":flight:",
        "{gate}:lane:",
        "{gate}:meters:",
        "{gate}:user:",
        ":r:",
      ];
      const missing = kinds.filter((kind) => !all.some(({ key }) => key.includes(kind)));
      if (missing.length > 0) throw new Error(`There is no ${missing.join(", no ")}.`);
      return all;
    });
    expect(keys.filter(({ ttlMs }) => ttlMs === -1)).toEqual([]);
    expect(keys.filter(({ key }) => key.includes(SECRET) || Buffer.byteLength(key) > 200)).toEqual([]);
    expect(JSON.stringify(answering.api.log).includes(SECRET)).toBe(false);
  });

  test("an answer is kept for as long as its call says, never longer than the operator does, and for 0 not at all [T5 litellm#7467 litellm#17197]", async () => {
    await using redis = await startRedis();
    await using answering = await startAnsweringApi("Redis and MongoDB", { redisUrl: redis.url });
    if (answering === null) return;
    await using stack = new AsyncDisposableStack();
    const connection = stack.adopt(connectRedis(redis.url, "queue-producer"), closeRedis);
    const client = await answering.client();
    const ttlOf = async (prompt: string, ttl: string | null) => {
      const { headers } = await ask(client, prompt, {
        headers: ttl === null ? {} : { "x-mythic-cache-ttl": ttl },
      });
      const digest = headers.get("x-mythic-cache-key") ?? "";
      const kept = (await keysIn(connection)).find(
        ({ key }) => key.includes(":v:answers.") && key.includes(digest),
      );
      return kept?.ttlMs ?? null;
    };
    for (const [ttl, mostMs] of [
      [null, HOUR_MS],
      ["600", 600_000],
      ["99999999999999999999999", HOUR_MS],
    ] as const) {
      const ttlMs = await ttlOf(`Keep me for ${ttl}.`, ttl);
      // Shortened at random by a tenth at most.
      expect([ttl, ttlMs !== null && ttlMs <= mostMs && ttlMs > 0.85 * mostMs]).toEqual([ttl, true]);
    }
    expect(await ttlOf("Keep me for no time.", "0")).toBeNull();
  });
});

describe.each(SET_UPS)("over %s", (setUp) => {
  test("a time of no meaning is refused with what would have one [T5 litellm#7467 litellm#17197]", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const client = await answering.client();
    for (const ttl of ["-1", "1.5", "forever", "1e3", ""]) {
      const error = await refused(ask(client, "Hello.", { headers: { "x-mythic-cache-ttl": ttl } }));
      expect([ttl, error.status, error.message]).toEqual([
        ttl,
        400,
        expect.stringMatching(/whole number of seconds/),
      ]);
    }
    expect(answering.fake.calls()).toHaveLength(0);
    const place = { MYTHIC_DATA_DIR: "data" };
    expect(readApiConfig(place).cache.answersTtlMs).toBe(HOUR_MS);
    for (const ttl of ["0", "-1", "1.5", "1e9", "99999999999"]) {
      expect(() => readApiConfig({ ...place, REDIS_CACHE_TTL: ttl })).toThrow(/REDIS_CACHE_TTL/);
    }
  });

  test("neither prompts nor answers nor keys are in the log, be it ever so talkative [T11 litellm#29414]", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const { fake, api } = answering;
    fake.script({ match: "Fail.", does: { kind: "status", status: 500, message: `No ${SECRET} here.` } });
    fake.script({
      match: "Garble.",
      does: { kind: "garbage", body: `{"${SECRET}`, contentType: "application/json" },
    });
    fake.script({ does: { kind: "answer", content: `${SECRET} is at home.` } });
    const client = await answering.client();
    await ask(client, LONG_PROMPT);
    await ask(client, LONG_PROMPT);
    await askStreamed(client, LONG_PROMPT);
    await refused(ask(client, `${LONG_PROMPT} Fail.`));
    await refused(ask(client, `${LONG_PROMPT} Garble.`));
    expect(api.log.length).toBeGreaterThan(4);
    const log = JSON.stringify(api.log);
    // Whether it is there, not the whole log, is what a failure shows.
    expect([log.includes(SECRET), log.includes(client.apiKey ?? "")]).toEqual([false, false]);
    // What went wrong is told all the same.
    expect(log).toContain('"InternalServerError"');
  });

  test("a request for several choices is passed on each time, and never answered from another [T12 litellm#3272]", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const { fake } = answering;
    const choice = (index: number) => {
      return { index, message: { role: "assistant", content: `Choice ${index}` }, finish_reason: "stop" };
    };
    const body = JSON.stringify({ id: "chatcmpl-1", model: "gpt-5-mini", choices: [choice(0), choice(1)] });
    fake.script({
      match: ({ body: asked }) => asked["n"] === 2,
      does: { kind: "garbage", body, contentType: "application/json" },
    });
    const client = await answering.client();
    const contents = [];
    for (const n of [1, 2, 2, 1]) {
      const { completion, cache } = await ask(client, "Choose.", { n });
      contents.push([n, cache, completion.choices.length]);
    }
    expect(contents).toEqual([
      [1, "miss", 1],
      [2, "bypass", 2],
      [2, "bypass", 2],
      [1, "hit", 1],
    ]);
    expect(fake.calls()).toHaveLength(3);
  });

  test("a call says how long its answer is kept, or that it is not to be [T23 litellm#1218]", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const client = await answering.client();
    const short = { headers: { "x-mythic-cache-ttl": "2" } };
    const state = async (wishes = {}) => (await ask(client, "For a moment.", wishes)).cache;
    expect(await state(short)).toBe("miss");
    expect(await state(short)).toBe("hit");
    await waitFor(async () => (await state(short)) === "miss");
    expect(await state({ headers: { "cache-control": "no-store" } })).toBe("bypass");
    expect(await state({ temperature: 1 })).toBe("bypass");
  });

  test("users erase what is kept for them, and an operator all of it or the cache as a whole [T23 litellm#1218 litellm#2317]", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const { api } = answering;
    const erase = async (path: string, user: string, role: "user" | "admin" = "user") => {
      const { authorization } = await api.key(user, role);
      const { status } = await fetch(`${api.url}${path}`, { method: "DELETE", headers: { authorization } });
      expect(status).toBe(200);
    };
    const [ada, bob] = [await answering.client("ada"), await answering.client("bob")];
    const keep = async () => {
      for (const client of [ada, bob])
        await ask(client, "Keep this.", { headers: { "cache-control": "no-cache" } });
    };
    const states = async () => [(await ask(ada, "Keep this.")).cache, (await ask(bob, "Keep this.")).cache];
    await keep();
    expect(await states()).toEqual(["hit", "hit"]);
    await keep();
    await erase("/answers?all=true", "ada");
    expect(await states()).toEqual(["miss", "hit"]);
    await keep();
    await erase("/answers?all=true&user=bob", "root", "admin");
    expect(await states()).toEqual(["hit", "miss"]);
    await keep();
    await erase("/cache?family=answers", "root", "admin");
    expect(await states()).toEqual(["miss", "miss"]);
  });

  test("an operator switches the cache off as a whole [T23 litellm#2317]", async () => {
    await using answering = await startAnsweringApi(setUp, { isUncached: true });
    if (answering === null) return;
    const client = await answering.client();
    for (let time = 0; time < 2; time += 1) expect((await ask(client, "Hello.")).cache).toBe("miss");
    expect(answering.fake.calls()).toHaveLength(2);
  });
});
