import { createHash } from "node:crypto";
import { describe, expect, test } from "@jest/globals";
import { openAnswers, Upstream, Upstreams } from "@mythic/llm";
import { startFakeOpenAi } from "@mythic/testing/fake-openai";
import type { APIError } from "openai";
import { NO_POLICIES } from "../../src/policies.ts";
import { type AnsweringApi, SET_UPS, startAnsweringApi } from "../answering-api.ts";
import { ask, refused, type Wishes } from "./ask.ts";

const SECRET = "a secret of the tests, which is long enough";

describe.each(SET_UPS)("over %s", (setUp) => {
  test("a request has one key, however its JSON is written, in each process and after a restart [T29 Bifrost#2791 Bifrost#2912]", async () => {
    await using answering = await startAnsweringApi(setUp, { config: { policies: NO_POLICIES } });
    if (answering === null) return;
    const keys = new Set<string | null>();
    const states: (string | null)[] = [];
    const note = ({ headers }: Response) => {
      keys.add(headers.get("x-mythic-cache-key"));
      states.push(headers.get("x-mythic-cache"));
    };
    const { authorization } = await answering.api.key("ada");
    for (let turn = 0; turn < 200; turn += 1) {
      note(await sendText(answering, authorization, written(REQUEST, turn)));
    }
    expect(states).toEqual(["miss", ...Array<string>(199).fill("hit")]);
    for (const _ of ["beside it", "after a restart"]) {
      await using other = await startAnsweringApi(setUp, { beside: answering });
      if (other === null) return;
      note(await sendText(other, authorization, written(REQUEST, 7)));
    }
    expect(keys.size).toBe(1);
    expect([...keys][0]).toMatch(/^v1\./);
  });

  test("users with one cache key or namespace share nothing, and can only ask for less [T31 Bifrost#5769]", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const [ada, bob] = [await answering.client("ada"), await answering.client("bob")];
    const headers = {
      "x-bf-cache-key": "team",
      "x-mythic-cache-key": "team",
      "x-mythic-cache-scope": "shared",
      "x-mythic-cache-mode": "reuse",
      // More than the operator's hour.
      "x-mythic-cache-ttl": "31536000",
    };
    const fields = { prompt_cache_key: "team", user: "team", safety_identifier: "team" };
    const prompt = "What is in my diary?";
    expect((await ask(ada, prompt, { ...fields, headers })).cache).toBe("miss");
    expect((await ask(bob, prompt, { ...fields, headers })).cache).toBe("miss");
    expect((await ask(bob, prompt, { ...fields, headers })).cache).toBe("hit");
    // A field that is not known is part of the request, and opens nothing either.
    const claiming = { ...fields, namespace: "user:ada", cache_key: "team" };
    expect((await ask(bob, prompt, { ...claiming, headers })).cache).toBe("miss");
    expect(answering.fake.calls()).toHaveLength(3);
    const { families } = answering.api.caching.cache ?? {};
    expect(families).toBeDefined();
    const redis = answering.api.caching.redis;
    if (redis === null) return;
    const ttls = await redis.run(async (connection) => {
      const found = await connection.keys(`${answering.api.caching.namespace}:*:v:answers.*`);
      return await Promise.all(found.map((key) => connection.pttl(key)));
    });
    expect(ttls).toHaveLength(3);
    for (const ttl of ttls) expect(ttl).toBeLessThanOrEqual(1.1 * 3_600_000);
  });

  test("without the server's secret nobody finds an answer, and without any there is no cache [T32 Bifrost#6101]", async () => {
    await using answering = await startAnsweringApi(setUp, { models: { secret: SECRET } });
    if (answering === null) return;
    const first = await ask(await answering.client(), "Mine.");
    await using same = await startAnsweringApi(setUp, { beside: answering, models: { secret: SECRET } });
    await using other = await startAnsweringApi(setUp, {
      beside: answering,
      models: { secret: `${SECRET}, and another` },
    });
    if (same === null || other === null) return;
    const keyOf = async (from: AnsweringApi) =>
      (await ask(await from.client(), "Mine.")).headers.get("x-mythic-cache-key");
    const key = first.headers.get("x-mythic-cache-key") ?? "";
    expect(await keyOf(same)).toBe(key);
    expect(await keyOf(other)).not.toBe(key);
    const digest = createHash("sha256").update("Mine.").digest("base64url");
    expect(key).not.toContain(digest);

    const { store } = answering.api;
    const open = (secret: string) =>
      openAnswers({
        ...{ upstreams: new Upstreams([]), ledger: store.ledger, redis: null, namespace: "test" },
        ...{ family: null, ttlMs: 1_000, secret },
      });
    expect(() => open("")).toThrow(RangeError);
    expect(() => open("guessable")).toThrow(RangeError);
    // The store makes one that is as long, and keeps it.
    await using made = await startAnsweringApi(setUp);
    const secret = await made?.api.store.secrets.obtain("answers");
    expect(secret?.length).toBeGreaterThanOrEqual(32);
    expect(await made?.api.store.secrets.obtain("answers")).toBe(secret);
  });

  test("another model or another endpoint is another request [T43 AutoIntent#334 ragas#2983 xingyu#129 pathfinder-ai#2301 agentopt#95 BetterDB#105]", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const { fake } = answering;
    await using elsewhere = await startFakeOpenAi();
    const client = await answering.client();
    for (const model of ["gpt-5-mini", "gpt-5", "gpt-5-mini-2025-08-07"]) {
      expect((await ask(client, "Who?", { model })).cache).toBe("miss");
    }
    expect(fake.calls()).toHaveLength(3);
    // The same name of a model at an address that differs in its path, its server, or its query alone.
    const places = [`${fake.baseUrl}/../v1/./deployments`, elsewhere.baseUrl, `${fake.baseUrl}?version=2`];
    const keys = new Set<string | null>();
    for (const baseUrl of places) {
      const upstream = new Upstream({ name: "fake", baseUrl, apiKey: "up", models: ["*"] });
      await using other = await startAnsweringApi(setUp, {
        beside: answering,
        models: { upstreams: new Upstreams([upstream]) },
      });
      if (other === null) return;
      const headers = { "cache-control": "only-if-cached" };
      const error = await refused(ask(await other.client(), "Who?", { headers }));
      expect([baseUrl, error.code]).toEqual([baseUrl, "answer_not_cached"]);
      const asked = await ask(await other.client(), "Who?").catch((thrown: APIError) => thrown);
      keys.add(asked.headers?.get("x-mythic-cache-key") ?? baseUrl);
    }
    expect(keys.size).toBe(places.length);
  });

  test("whatever can change an answer is in the key, and an answer is kept for the model that gave it [T44 litellm-rs#505 lunargate#2]", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const { fake } = answering;
    const client = await answering.client();
    const changing: readonly (Wishes & Readonly<Record<string, unknown>>)[] = [
      {},
      { top_p: 0.5 },
      { seed: 1 },
      { seed: 2 },
      { stop: ["\n"] },
      { max_tokens: 500 },
      { max_completion_tokens: 500 },
      { frequency_penalty: 1 },
      { presence_penalty: 1 },
      { logit_bias: { "50256": -100 } },
      { reasoning_effort: "low" },
      { verbosity: "low" },
      { response_format: { type: "text" } },
      { tools: [{ type: "function", function: { name: "a" } }] },
      { tools: [{ type: "function", function: { name: "a" } }], tool_choice: "none" },
      { parallel_tool_calls: false },
      { chat_template_kwargs: { enable_thinking: true } },
      { a_field_of_tomorrow: 1 },
    ];
    for (const wishes of changing) {
      expect([wishes, (await ask(client, "Which?", wishes)).cache]).toEqual([wishes, "miss"]);
    }
    for (const wishes of [
      { user: "x" },
      { metadata: { a: "b" } },
      { store: true },
      { service_tier: "default" as const },
    ]) {
      expect([wishes, (await ask(client, "Which?", wishes)).cache]).toEqual([wishes, "hit"]);
    }
    expect(fake.calls()).toHaveLength(changing.length);

    // A fallback's answer is none of the model that was asked for.
    const fallback = fake.script({ match: "Fall back.", model: "gpt-5-nano" });
    expect((await ask(client, "Fall back.")).completion.model).toBe("gpt-5-nano");
    fallback.remove();
    const then = await ask(client, "Fall back.");
    expect([then.cache, then.completion.model]).toEqual(["miss", "gpt-5-mini"]);
    expect((await ask(client, "Fall back.", { model: "gpt-5-nano" })).cache).toBe("miss");
  });

  test("no tenant gets what another was answered, at once or later [T45 OmniRoute#3740 wso2#733]", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const { fake } = answering;
    fake.script({
      latencyMs: 50,
      does: { kind: "answer", content: () => `answer ${fake.calls().length + 1}` },
    });
    const names = ["ada", "bob", "cleo", "ada ", "Ada", "user:ada"];
    const clients = await Promise.all(names.map((name) => answering.client(name)));
    const first = await Promise.all(clients.map((client) => ask(client, "My account?")));
    expect(first.map(({ cache }) => cache)).toEqual(names.map(() => "miss"));
    const again = await Promise.all(clients.map((client) => ask(client, "My account?")));
    expect(again.map(({ cache, text }) => [cache, text])).toEqual(first.map(({ text }) => ["hit", text]));
    expect(fake.calls()).toHaveLength(names.length);
  });

  test("parts of keys that read alike in a row make other keys [T46 APISIX#13831]", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const keys = new Set<string | null>();
    let asked = 0;
    for (const [user, model, prompt] of [
      ["a", "b", "c"],
      ["ab", "c", ""],
      ["a", "bc", "c"],
      ["a:b", "b", "c"],
      ["a:4:user", "b", "c"],
      ["a|b", "c", "c"],
      ["a", "b|c", "c"],
      ["a", "b", "c\u0000"],
      ["a\u0000", "b", "c"],
      ["a}{b", "b", "c"],
    ] as const) {
      const client = await answering.client(user);
      const { headers, cache } = await ask(client, prompt, { model });
      expect([user, model, prompt, cache]).toEqual([user, model, prompt, "miss"]);
      keys.add(headers.get("x-mythic-cache-key"));
      asked += 1;
    }
    expect(keys.size).toBe(asked);
    // What a digest of a long text looks like is a text like any other.
    const client = await answering.client("a");
    const long = "x".repeat(5_000);
    await ask(client, long);
    const digest = createHash("sha256").update(long).digest("hex");
    expect((await ask(client, `#${digest}`)).cache).toBe("miss");
  });
});

const REQUEST = {
  model: "gpt-5-mini",
  temperature: 0,
  messages: [
    { role: "system", content: "Be brief." },
    { role: "user", content: [{ type: "text", text: "Hällo." }], name: "ada" },
  ],
  logit_bias: { "50256": -100, "11": 5, "9": 1 },
  top_p: 0.5,
  seed: 100,
};

/** The same request as another text: members in another order, other spaces, numbers and letters spelled in another way. */
function written(value: unknown, turn: number): string {
  const space = turn % 3 === 0 ? "" : " ".repeat(turn % 5);
  if (Array.isArray(value)) {
    return `[${value.map((item) => written(item, turn)).join(`,${space}`)}]`;
  }
  if (typeof value === "object" && value !== null) {
    const members = Object.entries(value).map(([name, member], at) => {
      return { place: ((at + 1) * (turn * 7 + 3)) % 11, text: `"${name}":${space}${written(member, turn)}` };
    });
    const sorted = members.sort((a, b) => a.place - b.place).map(({ text }) => text);
    return `{${space}${sorted.join(`${space},`)}}`;
  }
  if (typeof value === "number" && value !== 0) return turn % 2 === 0 ? `${value}` : value.toExponential();
  if (value === 0) return ["0", "0.0", "-0", "0e5"][turn % 4] ?? "0";
  const json = JSON.stringify(value);
  return turn % 2 === 0 ? json : json.replace("ä", "\\u00e4");
}

async function sendText({ api }: AnsweringApi, authorization: string, body: string): Promise<Response> {
  const headers = { authorization, "content-type": "application/json" };
  const response = await fetch(`${api.url}/v1/chat/completions`, { method: "POST", headers, body });
  await response.text();
  return response;
}
