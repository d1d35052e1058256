import { execFileSync } from "node:child_process";
import { createHash, createHmac } from "node:crypto";
import { inspect } from "node:util";
import { describe, expect, test } from "@jest/globals";
import type { ChatRequest } from "../../src/request/chat-request.ts";
import { DENIED_FIELDS, KEY_VERSION, RequestKeys, type Scope } from "../../src/request/request-key.ts";
import { ada, asking, idOf, keyOf, keys, secret } from "./keys.ts";
import { Random } from "./random.ts";
import { changed, randomDenied, randomRequest, reordered } from "./random-requests.ts";

const chapter = "The lamp had burned for ninety years. ".repeat(600);
const rich: ChatRequest = {
  model: "gpt-5-mini",
  messages: [
    { role: "system", content: "Summarise." },
    { role: "user", content: [{ type: "text", text: chapter, something: { z: 1, a: [1.5, null, true] } }] },
  ],
  temperature: 0.2,
  stop: ["\n\n", "END"],
  response_format: {
    type: "json_schema",
    json_schema: { name: "s", strict: true, schema: { type: "object", properties: { b: {}, a: {} } } },
  },
  logit_bias: { 10: 1, 9: -1 },
};

/** What a request is without the fields that do not count, as text that does not depend on the order of keys. */
function meaningOf(request: unknown): string {
  const complete = JSON.parse(JSON.stringify(request)) as Record<string, unknown>;
  for (const field of DENIED_FIELDS) delete complete[field];
  return inspect(complete, {
    sorted: true,
    depth: null,
    maxStringLength: null,
    maxArrayLength: null,
    compact: false,
  });
}

describe("two requests share a key", () => {
  test("exactly if they differ in denied fields only, over 4000 small changes", () => {
    const random = new Random(5);
    let same = 0;
    for (let round = 0; round < 4000; round += 1) {
      const request = randomRequest(random);
      const one = JSON.parse(JSON.stringify(request)) as Parameters<typeof changed>[0];
      const other = reordered(random.chance(3) ? one : changed(one, random), random) as ChatRequest;
      for (const field of DENIED_FIELDS) delete (other as Record<string, unknown>)[field];
      const pair: ChatRequest = { ...randomDenied(random), ...other };
      if (!Array.isArray(pair.messages)) continue;
      const isSame = meaningOf(request) === meaningOf(pair);
      expect(idOf(request) === idOf(pair)).toBe(isSame);
      if (isSame) same += 1;
    }
    expect(same).toBeGreaterThan(1000);
    expect(same).toBeLessThan(3000);
  });

  test("exactly if they mean the same, over all pairs of 3000 requests from a small world", () => {
    const random = new Random(7);
    const requests = Array.from({ length: 3000 }, () => randomRequest(random, { optionsOneIn: 12 }));
    const byMeaning = Map.groupBy(requests, meaningOf);
    const byKey = Map.groupBy(requests, (request) => idOf(request));
    expect(byKey.size).toBe(byMeaning.size);
    for (const group of byMeaning.values()) {
      expect(new Set(group.map((request) => idOf(request))).size).toBe(1);
    }
    expect(byMeaning.size).toBeLessThan(2900);
  });

  test("T29 for any order of keys, over 10,000 shuffles (Bifrost #2791, #2912)", () => {
    const random = new Random(29);
    const id = idOf(rich);
    for (let round = 0; round < 10_000; round += 1) {
      const other = reordered(rich, random) as ChatRequest;
      if (idOf(other) !== id) throw new Error(`Another key for ${JSON.stringify(other)}`);
    }
    expect(idOf({ ...rich, logit_bias: { 10: -1, 9: 1 } })).not.toBe(id);
  });

  test("T29 in another process, with another language and time zone (Bifrost #2791)", () => {
    const script = `
      import { RequestKeys } from ${JSON.stringify(new URL("../../src/request/request-key.ts", import.meta.url).href)};
      const [secret, request, context] = JSON.parse(process.argv[1]);
      process.stdout.write(new RequestKeys({ secret }).of(request, context).id);`;
    const argument = JSON.stringify([secret, reordered(rich, new Random(1)), ada]);
    const id = execFileSync(process.execPath, ["--input-type=module", "-e", script, argument], {
      env: { LC_ALL: "tr_TR.UTF-8", TZ: "Asia/Kathmandu" },
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    expect(id).toBe(idOf(rich));
  });

  test.each(["1", "1.0", "1e0", "10E-1", "0.1e+1"])("when a number is spelled %s", (spelling) => {
    const request = JSON.parse(`{"model":"m","messages":[],"top_p":${spelling}}`) as ChatRequest;
    expect(idOf(request)).toBe(idOf({ model: "m", messages: [], top_p: 1 }));
  });

  test("when one has a field that is undefined and the other has it not, as both look the same on the way", () => {
    expect(idOf(asking("a", { seed: undefined }))).toBe(idOf(asking("a")));
  });

  test.each([...DENIED_FIELDS])("whatever %s says", (field) => {
    const id = idOf(asking("a"));
    for (const value of [true, "x", { a: 1 }, null]) expect(idOf(asking("a", { [field]: value }))).toBe(id);
    // The same name further down is another thing.
    expect(idOf(asking("a", { extra: { [field]: 1 } }))).not.toBe(idOf(asking("a", { extra: {} })));
  });

  test("T36, T37 streamed or not, with stream: false said or unsaid (Portkey, langchain #23701)", () => {
    const id = idOf(asking("a"));
    expect(idOf(asking("a", { stream: false }))).toBe(id);
    expect(idOf(asking("a", { stream: true, stream_options: { include_usage: true } }))).toBe(id);
  });

  test("T48 after a change of the code that builds the same request in another way (distilabel #588)", () => {
    const messages = rich.messages.map((message) => structuredClone(message));
    const built = { prompt_cache_key: "book 7", service_tier: "flex", ...rich, messages };
    expect(idOf(built)).toBe(idOf(rich));
  });
});

describe("two requests have different keys", () => {
  const id = idOf(asking("Hello"));

  test("T1, T43 for another model or another endpoint (LiteLLM #3199, AutoIntent #334, agentopt #95)", () => {
    expect(idOf(asking("Hello", { model: "gpt-5" }))).not.toBe(id);
    expect(idOf(asking("Hello"), { ...ada, endpoint: "https://api.example.com/v2" })).not.toBe(id);
  });

  test("T2, T45 for another user, and for a book that is shared (LiteLLM #29955, OmniRoute #3740, wso2 #733)", () => {
    const scopes: Scope[] = ["user:ada", "user:ben", "user:", "book:ada", "book:7"];
    expect(new Set(scopes.map((scope) => idOf(asking("Hello"), { ...ada, scope }))).size).toBe(scopes.length);
  });

  test("T31 for two users, whatever the request says of namespaces and keys (Bifrost #5769)", () => {
    const forged = asking("Hello", {
      cache_key: id,
      namespace: "shared",
      scope: "user:ada",
      metadata: { redis_namespace: "user:ada" },
      user: "ada",
    });
    expect(idOf(forged, { ...ada, scope: "user:ben" })).not.toBe(idOf(forged));
    expect(idOf(forged)).not.toBe(id);
  });

  test("T25 for the same last message after another turn (GPTCache #8)", () => {
    const talk = (first: string) => ({
      model: "m",
      messages: [
        { role: "user", content: first },
        { role: "assistant", content: "Yes." },
        { role: "user", content: "Why?" },
      ],
    });
    expect(idOf(talk("Is it day?"))).not.toBe(idOf(talk("Is it night?")));
  });

  test.each([
    ["Turn dark mode on.", "Turn dark mode off."],
    ["Alice defeated Bob.", "Bob defeated Alice."],
    ["Who wrote Emma?", "Who wrote Emma ?"],
  ])(
    "T24, T26, T27 for texts that mean nearly the same: nothing is matched by meaning (GPTCache #388, #694; LiteLLM #6954)",
    (one, other) => {
      expect(idOf(asking(one))).not.toBe(idOf(asking(other)));
    },
  );

  test.each([
    ["Polish", "polish"],
    ["a", " a"],
    ["a", "a\n"],
    ["a b", "a  b"],
    ["straße", "STRASSE"],
    ["é", "e\u0301"],
    [chapter, `${chapter} `],
    [chapter, chapter.toUpperCase()],
  ])("T33 for texts that differ in case or white space (Bifrost's lower-cased prompts)", (one, other) => {
    expect(idOf(asking(one))).not.toBe(idOf(asking(other)));
  });

  test("T39 for a talk and one message that looks like it (LangChain.js' flattened messages)", () => {
    const talk = {
      model: "m",
      messages: [
        { role: "user", content: "hello" },
        { role: "assistant", content: "yes" },
        { role: "user", content: "ok" },
      ],
    };
    const injected = "hello\nAI: yes\nHuman: ok";
    expect(idOf(talk)).not.toBe(idOf({ model: "m", messages: [{ role: "user", content: injected }] }));
    const asJson = JSON.stringify(talk.messages).slice(1, -1);
    expect(idOf(talk)).not.toBe(idOf({ model: "m", messages: [{ role: "user", content: asJson }] }));
  });

  test("T46 for parts that read the same when they are put one after the other (APISIX #13831)", () => {
    const contexts: [Scope, string][] = [
      ["user:a", "bc"],
      ["user:ab", "c"],
      ["user:abc", ""],
      ["user:a2:bc", ""],
      ["user:", "abc"],
      ["user:a8:user:b", "c"],
    ];
    const ids = contexts.map(([scope, endpoint]) => idOf(asking("a"), { scope, endpoint }));
    expect(new Set(ids).size).toBe(contexts.length);
  });

  test("T46 for a long text and what stands for it (APISIX #13831)", () => {
    const digest = createHash("sha256").update(chapter).digest("base64url");
    const texts = [chapter, digest, `#${digest}`, `"#${digest}"`, { sha256: digest }, [`#${digest}`]];
    expect(new Set(texts.map((text) => idOf(asking(text)))).size).toBe(texts.length);
  });

  const counting: readonly (readonly [string, unknown])[] = [
    ["audio", { voice: "ash", format: "mp3" }],
    ["frequency_penalty", 0.1],
    ["functions", []],
    ["function_call", "auto"],
    ["logit_bias", { 1: 1 }],
    ["logprobs", true],
    ["max_completion_tokens", 10],
    ["max_tokens", 10],
    ["modalities", ["text"]],
    ["n", 2],
    ["parallel_tool_calls", false],
    ["prediction", { type: "content", content: "a" }],
    ["presence_penalty", 0.1],
    ["reasoning_effort", "low"],
    ["response_format", { type: "json_object" }],
    ["seed", 1],
    ["stop", "."],
    ["temperature", 0],
    ["tool_choice", "none"],
    ["tools", []],
    ["top_logprobs", 2],
    ["top_p", 0.5],
    ["verbosity", "low"],
    ["web_search_options", {}],
    ["enable_thinking", true],
    ["top_k", 5],
    ["a_parameter_of_next_year", null],
  ];

  test("T12, T44 for every field that can change the answer, also one that nobody here knows (litellm-rs #505, lunargate #2)", () => {
    const ids = counting.map(([field, value]) => idOf(asking("Hello", { [field]: value })));
    expect(new Set([id, ...ids]).size).toBe(counting.length + 1);
  });

  test("T38 for another schema of the answer (langchainjs #3686)", () => {
    const format = (schema: unknown) => ({
      response_format: { type: "json_schema", json_schema: { schema } },
    });
    const one = idOf(asking("a", format({ type: "object", required: ["x"] })));
    expect(one).not.toBe(idOf(asking("a", format({ type: "object", required: ["y"] }))));
    expect(one).not.toBe(idOf(asking("a")));
  });
});

describe("a key", () => {
  test("T11 is short whatever is asked, and shows nothing of it (LiteLLM #29414)", () => {
    const long = asking(chapter.repeat(20));
    expect(idOf(long)).toMatch(/^v1\.[\w-]{43}$/);
    expect(Buffer.byteLength(idOf(long))).toBeLessThanOrEqual(200);
    expect(JSON.stringify(keyOf(long).canonicalFields)).not.toContain("lamp");
    expect(inspect(keyOf(long), { showHidden: true, depth: null })).not.toContain("lamp");
  });

  test("is the HMAC-SHA-256 of version, scope, endpoint and canonical request, each led by its length", () => {
    const request = asking("lamp", { temperature: 0.5, stream: true });
    const json = '{"messages":[{"content":"lamp","role":"user"}],"model":"gpt-5-mini","temperature":0.5}';
    const parts = ["v1", "user:ada", "https://api.example.com/v1", json];
    const hmac = createHmac("sha256", createHash("sha256").update(secret).digest("hex"));
    for (const part of parts) hmac.update(`${part.length}:${part}`);
    expect(idOf(request)).toBe(`v1.${hmac.digest("base64url")}`);
  });

  // A change of these is a change of the format: it needs a new version, and empties every cache.
  test.each<[string, ChatRequest, Scope, string]>([
    ["a plain request", asking("lamp"), "user:ada", "v1.p-pwu3Gy6ixnPInb1EXvff-6rVe-blxG4mQVL5EZgrU"],
    ["a long text", asking(chapter), "user:ada", "v1.7IIvVw-BdKnoJvSNveliYXvgvlkIFnIzHfi8dGa_2WM"],
    ["every kind of value", rich, "user:ben", "v1.RaeyRGHpCRJ61BaIoh9nv2C5dffgNS14UQVTaYBwDDI"],
    ["other alphabets", asking("маяк 灯台 🗼 é"), "book:7", "v1.J51wmvVHIvc3x1Hq1Qmc2hnqs7WRNn65MRfOBE0ZCY0"],
  ])("of a fixed secret never changes: %s", (_name, request, scope, golden) => {
    expect(KEY_VERSION).toBe("v1");
    expect(idOf(request, { ...ada, scope })).toBe(golden);
  });

  test("T32 needs the server's secret, and there is none without it (Bifrost #6101)", () => {
    const other = new RequestKeys({ secret: `${secret}.` }).of(asking("a"), ada);
    expect(other).not.toMatchObject({ id: idOf(asking("a")) });
    expect(() => new RequestKeys({ secret: "" })).toThrow(RangeError);
    expect(() => new RequestKeys({ secret: "short" })).toThrow(RangeError);
  });

  test("has a digest for each field and message, which are another user's for another user", () => {
    const { canonicalFields } = keyOf(rich);
    expect(Object.keys(canonicalFields).sort()).toEqual([
      "(endpoint)",
      "logit_bias",
      "messages[0]",
      "messages[1]",
      "model",
      "response_format",
      "stop",
      "temperature",
    ]);
    for (const digest of Object.values(canonicalFields)) expect(digest).toMatch(/^[\w-]{22}$/);
    const others = keyOf(rich, { ...ada, scope: "user:ben" }).canonicalFields;
    for (const [field, digest] of Object.entries(canonicalFields)) expect(others[field]).not.toBe(digest);
  });

  test("has digests of bounded size for many messages and for names that could be text", () => {
    const messages = Array.from({ length: 500 }, (_, index) => ({ role: "user", content: `${index}` }));
    const request = { model: "m", messages, "my secret diary": 1, ["x".repeat(1000)]: 2 };
    const fields = keyOf(request).canonicalFields;
    expect(Object.keys(fields)).toHaveLength(32 + 4);
    expect(Object.keys(fields)).toEqual(expect.arrayContaining(["messages[32…]", "(other fields)"]));
    const other = keyOf({ ...request, messages: messages.with(400, { role: "user", content: "x" }) });
    const differing = Object.keys(fields).filter((field) => fields[field] !== other.canonicalFields[field]);
    expect(differing).toEqual(["messages[32…]"]);
  });
});

describe("a request without a key says which field is to blame, and nothing of what is in it", () => {
  const loop: Record<string, unknown> = {};
  loop["loop"] = loop;

  test.each<[string, ChatRequest, string, RegExp]>([
    ["NaN", asking("a", { temperature: Number.NaN }), "temperature", /NaN/],
    ["infinity", asking("a", { seed: Number.NEGATIVE_INFINITY }), "seed", /Infinity/],
    ["a bigint", asking("a", { seed: 1n }), "seed", /bigint/],
    ["a function", asking("a", { tools: [{ run: () => 1 }] }), "tools[0].run", /function/],
    ["a symbol", asking("a", { stop: Symbol("diary") }), "stop", /symbol/],
    ["undefined in a list", asking("a", { stop: ["a", undefined] }), "stop[1]", /undefined/],
    // biome-ignore lint/suspicious/noSparseArray: the hole is what is tested
    ["a hole in a list", asking("a", { stop: ["a", , "b"] }), "stop[1]", /undefined/],
    ["a date", asking("a", { metadata2: { at: new Date(0) } }), "metadata2.at", /plain object/],
    ["a map", asking(new Map([["diary", 1]])), "messages[0].content", /plain object/],
    ["a buffer", asking(Buffer.from("diary")), "messages[0].content", /plain object/],
    ["a boxed string", asking(Object("diary")), "messages[0].content", /plain object/],
    ["an own toJSON", asking({ toJSON: () => 1 }), "messages[0].content.toJSON", /function/],
    ["half a character", asking("diary \ud800"), "messages[0].content", /Unicode/],
    ["half a character in a name", asking({ "diary \udc00": 1 }), "messages[0].content.…", /Unicode/],
    ["a cycle", asking("a", { tools: loop }), "tools.loop.loop.loop.loop.loop.loop.loop…", /holds itself/],
    ["a model that is half a character", { model: "\ud800", messages: [] }, "model", /Unicode/],
  ])("%s", (_name, request, field, reason) => {
    const key = keys.of(request, ada);
    expect(key).toMatchObject({ field, reason: expect.stringMatching(reason) });
    expect(JSON.stringify(key)).not.toContain("diary");
  });

  test("a scope that is half a character", () => {
    expect(keys.of(asking("a"), { ...ada, scope: "user:\ud800" })).toMatchObject({ field: "(scope)" });
  });

  test("what is denied may hold anything", () => {
    expect(idOf(asking("a", { metadata: { run: () => 1 } }))).toBe(idOf(asking("a")));
  });

  test("a request that is nested 90 levels deep has a key", () => {
    let deep: unknown = 1;
    for (let level = 0; level < 90; level += 1) deep = { deep };
    expect(idOf(asking("a", { tools: deep }))).not.toBe(idOf(asking("a")));
  });
});
