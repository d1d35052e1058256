import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { type FakeOpenAi, startFakeOpenAi } from "@mythic/testing/fake-openai";
import { createStepModel, type Ledger, openAnswers, Upstream, Upstreams } from "../src/index.ts";
import { askerWith, question } from "./asking.ts";
import { MemoryLedger } from "./memory-ledger.ts";

const SHARED = "5".repeat(64);

let fake: FakeOpenAi;
let ledger: MemoryLedger;
let stack: AsyncDisposableStack;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  fake = stack.use(await startFakeOpenAi());
  ledger = new MemoryLedger();
  ledger.now = new Date();
});
afterEach(() => stack.disposeAsync());

function modelAt(takesPromptCacheKeys: boolean, of: Ledger = ledger) {
  const { baseUrl } = fake;
  const upstream = new Upstream({
    name: "fake",
    baseUrl,
    apiKey: "key",
    models: ["*"],
    takesPromptCacheKeys,
  });
  const { answers } = stack.use(
    openAnswers({
      upstreams: new Upstreams([upstream]),
      ledger: of,
      secret: "a secret of the tests, which is long enough",
      redis: null,
      namespace: "test",
      family: null,
      ttlMs: 3_600_000,
    }),
  );
  return createStepModel({ answers, reuseMs: 3_600_000, sharedBooks: new Set([SHARED]) });
}

const bodies = () => fake.calls().map(({ request }) => request.body as Readonly<Record<string, unknown>>);

describe("what a step asks", () => {
  test("meets its kind in the provider's cache of prompts: one book and prompt, over a few keys that say nothing of either", async () => {
    const model = modelAt(true);
    for (let chapter = 0; chapter < 40; chapter++) {
      await model
        .conversation(askerWith({ stepId: `run1.summary.c${chapter}` }))
        .ask({ ...question, input: `${chapter}` });
    }
    const keys = new Set(bodies().map((body) => String(body["prompt_cache_key"])));
    expect(keys.size).toBeGreaterThan(4);
    expect(keys.size).toBeLessThanOrEqual(8);
    const stems = new Set([...keys].map((key) => key.replace(/-\d$/, "")));
    expect(stems.size).toBe(1);
    expect([...stems].join()).toMatch(/^mythic-[0-9a-f]{32}$/);
  });

  test("of another user or book has other keys there", async () => {
    const model = modelAt(true);
    await model.conversation(askerWith()).ask(question);
    await model.conversation(askerWith({ user: "bob" })).ask(question);
    await model
      .conversation(askerWith({ bookDigest: "1".repeat(64), stepId: "run2.c1" }))
      .ask({ ...question, input: "other" });
    const stems = bodies().map((body) => String(body["prompt_cache_key"]).replace(/-\d$/, ""));
    expect(new Set(stems).size).toBe(3);
  });

  test("leaves the key out where the endpoint may not know it", async () => {
    await modelAt(false).conversation(askerWith()).ask(question);
    expect(bodies()[0]).not.toHaveProperty("prompt_cache_key");
  });

  test("begins with what stays the same: instructions, then the input", async () => {
    await modelAt(true).conversation(askerWith()).ask(question);
    expect(bodies()[0]?.["messages"]).toEqual([
      { role: "system", content: question.instructions },
      { role: "user", content: question.input },
    ]);
  });

  test("goes at the lower price when its run says so, and reuses what was answered at the other", async () => {
    const model = modelAt(true);
    await model.conversation(askerWith({ serviceTier: "flex" })).ask(question);
    expect(bodies()[0]).toMatchObject({ service_tier: "flex" });
    await model.conversation(askerWith({ stepId: "run1.summary.c2" })).ask(question);
    expect(fake.calls()).toHaveLength(1);
  });
});

describe("an answer about a book", () => {
  test("is its user's alone", async () => {
    const model = modelAt(true);
    await model.conversation(askerWith({ user: "ada" })).ask(question);
    await model.conversation(askerWith({ user: "bob" })).ask(question);
    expect(fake.calls()).toHaveLength(2);
  });

  test("that the operator shares is everyone's", async () => {
    const model = modelAt(true);
    const about = { bookDigest: SHARED };
    await model.conversation(askerWith({ ...about, user: "ada" })).ask(question);
    await model.conversation(askerWith({ ...about, user: "bob" })).ask(question);
    expect(fake.calls()).toHaveLength(1);
    expect(ledger.saved).toMatchObject([{ cause: "hit" }]);
  });
});
