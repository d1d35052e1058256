import { beforeEach, describe, expect, test } from "@jest/globals";
import { DENIED_FIELDS } from "../../src/request/request-key.ts";
import { ask, CACHED, requestFor, Seen, stream, TEXT } from "./asking.ts";
import { type House, type Member, useHouses } from "./set-up.ts";

describe.each([
  ["with Redis", "shared"],
  ["without Redis", null],
] as const)("%s", (_name, redis) => {
  const houses = useHouses(redis);
  let house: House;
  let member: Member;
  beforeEach(async () => {
    house = await houses.build();
    member = await house.open();
  });

  test("requests that differ in what cannot change the text share an answer", async () => {
    await ask(member);
    const values: Readonly<Record<string, unknown>> = { stream: false, stream_options: null, store: true };
    for (const field of DENIED_FIELDS) {
      const request = requestFor({ [field]: field in values ? values[field] : "something" });
      expect([field, (await ask(member, { request })).source]).toEqual([field, CACHED]);
    }
    expect(house.fake.calls()).toHaveLength(1);
  });

  test("T36 a request that says it wants no stream is kept like one that says nothing (Portkey)", async () => {
    await ask(member, { request: requestFor({ stream: false }) });
    expect((await ask(member)).source).toEqual(CACHED);
    const seen = new Seen(stream(member));
    await seen.done;
    expect(seen.completed?.source).toEqual(CACHED);
  });

  test("T29 neither the order of fields nor the spelling of numbers matters (Bifrost #2791, #2912)", async () => {
    const one = JSON.parse(
      '{"model":"gpt-5-mini","temperature":1.0,"messages":[{"role":"user","content":"Hi"}],"seed":10}',
    );
    const two = JSON.parse(
      '{"seed":1e1,"messages":[{"content":"Hi","role":"user"}],"temperature":1,"model":"gpt-5-mini"}',
    );
    await ask(member, { request: one });
    expect((await ask(member, { request: two })).source).toEqual(CACHED);
  });

  test.each<[string, Readonly<Record<string, unknown>>]>([
    ["T1, T43 another model (LiteLLM #3199)", { model: "gpt-5" }],
    ["T33 another case of a letter (Bifrost)", { messages: [{ role: "user", content: TEXT.toLowerCase() }] }],
    ["a blank more", { messages: [{ role: "user", content: `${TEXT} ` }] }],
    ["another role", { messages: [{ role: "developer", content: TEXT }] }],
    [
      "T25 another turn before it (GPTCache #8)",
      {
        messages: [
          { role: "assistant", content: "Hm." },
          { role: "user", content: TEXT },
        ],
      },
    ],
    ["T44 a parameter that nobody here knows (litellm-rs #505)", { a_new_parameter: 1 }],
    ["a namespace that its caller would like (LiteLLM)", { namespace: "mine" }],
    ["a key that its caller would like (Bifrost)", { cache_key: "mine" }],
    ["null instead of nothing", { seed: null }],
    ["another schema", { response_format: { type: "json_object" } }],
  ])("a request with %s gets an answer of its own", async (_difference, extra) => {
    await ask(member);
    expect((await ask(member, { request: requestFor(extra), read: ({ text }) => text })).source).toBe(
      "leader",
    );
    expect((await ask(member)).source).toEqual(CACHED);
    expect(house.fake.calls()).toHaveLength(2);
  });

  test("T39 words that look like other turns are words (LangChain.js)", async () => {
    const turns = [
      { role: "user", content: "hello" },
      { role: "assistant", content: "yes" },
      { role: "user", content: "ok" },
    ];
    await ask(member, { request: requestFor({ messages: turns }) });
    const one = [{ role: "user", content: "hello\nAI: yes\nHuman: ok" }];
    expect((await ask(member, { request: requestFor({ messages: one }) })).source).toBe("leader");
  });

  test("long texts tell requests apart by their last letter, and are found again", async () => {
    house.fake.script({ does: { kind: "answer", content: "It is long." } });
    const long = "word ".repeat(50_000);
    const request = (end: string) => requestFor({ messages: [{ role: "user", content: `${long}${end}` }] });
    await ask(member, { request: request("a") });
    expect((await ask(member, { request: request("b") })).source).toBe("leader");
    expect((await ask(member, { request: request("a") })).source).toEqual(CACHED);
  });

  test("T11 what is written in Redis of a request is short and holds none of its words (LiteLLM #29414)", async () => {
    const { keyDigest } = await ask(member);
    expect(Buffer.byteLength(keyDigest)).toBeLessThanOrEqual(200);
    const dumped = await house.dump();
    if (redis !== null) expect(dumped).toContain(keyDigest);
    for (const word of ["lamp had", "paid for the oil"]) expect(dumped).not.toContain(word);
    for (const key of (await house.ttls()).keys()) expect(Buffer.byteLength(key)).toBeLessThanOrEqual(250);
  });
});
