import { beforeEach, describe, expect, test } from "@jest/globals";
import type { Rule } from "@mythic/testing/fake-openai";
import { waitFor } from "@mythic/testing/wait";
import { NOT_STORED, type NotStored } from "../../src/answers/storing-rules.ts";
import { ModelError } from "../../src/model-error.ts";
import {
  type Ask,
  asJson,
  ask,
  CACHED,
  callerWith,
  codeOf,
  isKept,
  requestFor,
  Seen,
  stepCaller,
  stream,
} from "./asking.ts";
import { type House, type Member, useHouses } from "./set-up.ts";

type Does = NonNullable<Rule["does"]>;

const toolCall = { id: "call_1", type: "function", function: { name: "light", arguments: "{}" } };

/** A completion as it comes, with this in its choice. */
function completionWith(choice: object): Does {
  const usage = { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 };
  const choices = [{ index: 0, ...choice }];
  const body = JSON.stringify({
    id: "chatcmpl-1",
    object: "chat.completion",
    model: "gpt-5-mini",
    choices,
    usage,
  });
  return { kind: "garbage", contentType: "application/json", body };
}

const callingTools = completionWith({
  finish_reason: "tool_calls",
  message: { role: "assistant", content: null, tool_calls: [toolCall] },
});
const ending = (finish_reason: string | null) =>
  completionWith({ finish_reason, message: { role: "assistant", content: "A text." } });

interface Kind {
  readonly what: string;
  readonly rule: Rule;
  readonly request?: Readonly<Record<string, unknown>>;
  /** As explained afterwards. */
  readonly why: NotStored;
}

/** What comes as an answer to a caller of the endpoint, and may be given to nobody else. */
const answers: readonly Kind[] = [
  { what: "an answer that was cut off at the limit", rule: { does: { kind: "truncate" } }, why: "truncated" },
  { what: "an answer of no text", rule: { does: { kind: "empty" } }, why: "empty" },
  { what: "an answer of blanks", rule: { does: { kind: "answer", content: " \n\t\u00a0" } }, why: "empty" },
  { what: "a refusal", rule: { does: { kind: "refuse" } }, why: "refused" },
  { what: "what a filter kept back", rule: { does: { kind: "filter" } }, why: "filtered" },
  { what: "an answer that calls tools", rule: { does: callingTools }, why: "tool_calls" },
  { what: "an answer whose end is of another kind", rule: { does: ending("pause_turn") }, why: "not_ended" },
  { what: "an answer without an end", rule: { does: ending(null) }, why: "not_ended" },
  {
    what: "an answer without a choice",
    rule: { does: { kind: "garbage", contentType: "application/json", body: '{"choices":[]}' } },
    why: "not_ended",
  },
  { what: "an answer of another model", rule: { model: "gpt-5-nano" }, why: "other_model" },
  { what: "an answer of a longer model's name", rule: { model: "gpt-5-mini-turbo" }, why: "other_model" },
];

/** What is no answer. */
const failures: readonly (Kind & { readonly code: ModelError["code"] })[] = [
  ...[500, 502, 503, 504, 529].map((status) => ({
    what: `status ${status}`,
    rule: { does: { kind: "status", status } } as const,
    why: "failed" as const,
    code: "model_unavailable" as const,
  })),
  {
    what: "status 408",
    rule: { does: { kind: "status", status: 408 } },
    why: "failed",
    code: "model_timeout",
  },
  {
    what: "status 401",
    rule: { does: { kind: "status", status: 401 } },
    why: "failed",
    code: "model_unauthorised",
  },
  {
    what: "status 403",
    rule: { does: { kind: "status", status: 403 } },
    why: "failed",
    code: "model_unauthorised",
  },
  {
    what: "a page with status 200",
    rule: { does: { kind: "garbage", body: "<html>Welcome</html>" } },
    why: "failed",
    code: "model_invalid_answer",
  },
  {
    what: "JSON that is no completion",
    rule: { does: { kind: "garbage", contentType: "application/json", body: '{"ok":true}' } },
    why: "failed",
    code: "model_invalid_answer",
  },
  {
    what: "a cut connection",
    rule: { does: { kind: "cut", after: "headers" } },
    why: "failed",
    code: "model_unavailable",
  },
  {
    what: "a cut body",
    rule: { does: { kind: "cut", after: 60 } },
    why: "failed",
    code: "model_unavailable",
  },
  {
    what: "JSON that breaks off",
    rule: { does: { kind: "invalid_json" } },
    request: asJson,
    why: "failed",
    code: "model_invalid_answer",
  },
  {
    what: "JSON that does not fit its schema",
    rule: { does: { kind: "invalid_schema" } },
    request: asJson,
    why: "failed",
    code: "model_invalid_answer",
  },
];

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

  async function whyNot(asked: Ask = {}): Promise<string> {
    const explanation = await waitFor(async () => {
      const { request = requestFor() } = asked;
      const said = await member.answers.explain(request, { mode: "reuse" }, "user:ada");
      return said.cause === "not_stored" && said;
    });
    return explanation.sentence;
  }

  test.each(answers)("never kept: $what", async ({ rule, request: extra = {}, why }) => {
    const request = requestFor(extra);
    house.fake.script({ times: 1, ...rule });
    house.fake.script({ does: { kind: "answer", content: "good" } });
    expect((await ask(member, { request })).source).toBe("leader");
    expect(await isKept(member, { request })).toBe(false);
    expect(await whyNot({ request })).toBe(`The last answer was not kept: ${NOT_STORED[why]}.`);
    expect(await ask(member, { request })).toMatchObject({ source: "leader", text: "good" });
    expect(await ask(member, { request })).toMatchObject({ source: CACHED, text: "good" });
  });

  test.each(answers)("never in the ledger for other steps: $what", async ({ rule, request: extra = {} }) => {
    const alone = await house.open({ keeps: false });
    const request = requestFor(extra);
    house.fake.script({ times: 1, ...rule });
    house.fake.script({ does: { kind: "answer", content: "good" } });
    await ask(alone, { request, caller: stepCaller() });
    const [row] = house.ledger.rows.values();
    expect(row).toMatchObject({ answer: null, message: null });
    expect(row?.cost).not.toBe(0);
    expect(await ask(alone, { request, caller: stepCaller() })).toMatchObject({
      source: "leader",
      text: "good",
    });
    expect(await ask(alone, { request, caller: stepCaller() })).toMatchObject({
      source: "ledger",
      text: "good",
    });
  });

  test.each(failures)(
    "T35 never kept nor given again: $what",
    async ({ rule, request: extra = {}, code }) => {
      const request = requestFor(extra);
      const used = house.fake.script({ times: 2, ...rule });
      expect(await codeOf(ask(member, { request }))).toBe(code);
      expect(await whyNot({ request })).toBe("The last answer was not kept: the call brought no answer.");
      expect(await codeOf(ask(member, { request, caller: stepCaller() }))).toBe(code);
      expect(used.used).toBe(2);
      expect((await ask(member, { request })).source).toBe("leader");
      expect((await ask(member, { request })).source).toEqual(CACHED);
      expect(house.fake.calls()).toHaveLength(3);
    },
  );

  test("T35 never kept: 429, whose cool-down is the endpoint's and not the request's", async () => {
    const rule = house.fake.script({
      does: { kind: "status", status: 429, headers: { "retry-after": "0" } },
    });
    expect(await codeOf(ask(member))).toBe("model_rate_limited");
    expect(await whyNot()).toBe("The last answer was not kept: the call brought no answer.");
    expect(await codeOf(ask(member, { policy: { mode: "only-if-cached" } }))).toBe("answer_not_cached");
    rule.remove();
    expect((await waitFor(() => ask(member))).source).toBe("leader");
  });

  test("never kept: a call that its time-out ended", async () => {
    const hasty = await house.open({ timeoutMs: 1_000 });
    house.fake.script({ times: 1, does: { kind: "hang" } });
    expect(await codeOf(ask(hasty))).toBe("model_timeout");
    expect((await ask(hasty)).source).toBe("leader");
  });

  test.each<[string, Does]>([
    ["was cut", { kind: "cut", after: 700 }],
    ["was cut before its last event", { kind: "cut", after: "headers" }],
    ["is a page", { kind: "garbage", body: "<html>Welcome</html>" }],
    [
      "is no stream",
      { kind: "garbage", contentType: "text/event-stream", body: 'data: {"ok":true}\n\ndata: [DONE]\n\n' },
    ],
    ["is broken JSON", { kind: "garbage", contentType: "text/event-stream", body: 'data: {"choices"\n\n' }],
    [
      "ends with an error",
      {
        kind: "garbage",
        contentType: "text/event-stream",
        body: 'data: {"error":{"message":"Overloaded.","type":"server_error"}}\n\n',
      },
    ],
  ])("never kept: a stream that %s", async (_how, does) => {
    house.fake.script({ times: 1, does });
    const broken = new Seen(stream(member));
    await broken.done;
    expect(broken.error).toBeInstanceOf(ModelError);
    expect(broken.completed).toBeNull();
    const [row] = house.ledger.rows.values();
    expect(row).toMatchObject({ state: "unknown", answer: null });
    expect(row?.cost).not.toBe(0);
    expect(await isKept(member)).toBe(false);
    const whole = new Seen(stream(member));
    await whole.done;
    expect(whole.completed).toMatchObject({ source: "leader", text: whole.text });
    expect((await ask(member)).source).toEqual(CACHED);
  });

  test("never kept: an answer that its caller stopped waiting for", async () => {
    const controller = new AbortController();
    house.fake.script({ times: 1, chunkMs: 30 });
    const seen = new Seen(stream(member, { caller: callerWith({ signal: controller.signal }) }));
    await waitFor(() => seen.text.length > 0);
    controller.abort();
    await seen.done;
    expect(seen.error).toMatchObject({ code: "model_aborted" });
    await waitFor(() => [...house.ledger.rows.values()][0]?.state === "unknown");
    expect(await isKept(member)).toBe(false);
  });

  test.each([
    ["several choices", { n: 2 }],
    ["probabilities", { logprobs: true }],
    ["sound", { modalities: ["text", "audio"] }],
  ])("never shared nor kept: what a request for %s brings", async (_what, extra) => {
    const request = requestFor(extra);
    house.fake.script({ latencyMs: 30 });
    const all = await Promise.all([ask(member, { request }), ask(member, { request })]);
    expect(all.map(({ source }) => source)).toEqual(["leader", "leader"]);
    for (const { body } of all) expect(body).toMatchObject({ object: "chat.completion" });
    await ask(member, { request, caller: stepCaller() });
    expect((await ask(member, { request, caller: stepCaller() })).source).toBe("leader");
    expect(house.fake.calls()).toHaveLength(4);
  });

  test("kept when the call asks for it: an answer that calls tools, whole", async () => {
    house.fake.script({ does: callingTools });
    const policy = { mode: "reuse", toolCalls: true } as const;
    await ask(member, { policy });
    const { source, answer } = await ask(member, { policy });
    expect(source).toEqual(CACHED);
    expect(answer).toMatchObject({
      finishReason: "tool_calls",
      message: { content: null, tool_calls: [toolCall] },
    });
    const alone = await house.open({ keeps: false });
    await ask(alone, { policy, caller: stepCaller() });
    const past = await ask(alone, { policy, caller: stepCaller() });
    expect(past).toMatchObject({ source: "ledger", answer: { message: { tool_calls: [toolCall] } } });
  });

  test("T44 kept: an answer of a dated snapshot, and of an alias that the configuration knows (lunargate #2)", async () => {
    const knowing = await house.open({ aliases: new Map([["gpt-5-mini", ["our-deployment"]]]) });
    for (const [seed, model] of ["gpt-5-mini-2025-08-07", "our-deployment"].entries()) {
      house.fake.script({ times: 1, model });
      const request = requestFor({ seed });
      await ask(knowing, { request });
      expect(await ask(knowing, { request })).toMatchObject({ source: CACHED, model });
    }
    const alone = await house.open({ keeps: false, aliases: new Map([["gpt-5-mini", ["our-deployment"]]]) });
    house.fake.script({ times: 1, model: "our-deployment" });
    await ask(alone, { caller: stepCaller() });
    expect(await ask(alone, { caller: stepCaller() })).toMatchObject({
      source: "ledger",
      model: "our-deployment",
    });
  });
});
