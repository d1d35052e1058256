import { beforeEach, describe, expect, test } from "@jest/globals";
import { waitFor } from "@mythic/testing/wait";
import {
  ask,
  CACHED,
  callerWith,
  codeOf,
  isKept,
  requestFor,
  Seen,
  stepCaller,
  stream,
  TEXT,
} from "./asking.ts";
import { type House, type Member, useHouses } from "./set-up.ts";

const MINUTE_MS = 60_000;

describe.each([
  ["with Redis", "shared"],
  ["without Redis", null],
] as const)("%s", (_name, redis) => {
  const houses = useHouses(redis);
  let house: House;
  beforeEach(async () => {
    house = await houses.build();
  });

  describe("whoever asks first", () => {
    test("leads and pays, and saves nothing", async () => {
      house.fake.script({ model: "gpt-5-mini-2025-08-07", cachedTokens: 8 });
      const completed = await ask(await house.open());
      expect(completed).toMatchObject({
        source: "leader",
        model: "gpt-5-mini-2025-08-07",
        ageMs: 0,
        saved: { cost: 0, tokens: 0, cause: null },
      });
      const { inputTokens, outputTokens, cachedTokens } = completed.usage ?? {};
      expect(cachedTokens).toBe(8);
      expect(completed.cost).toBe(((inputTokens ?? 0) - 8) * 250 + 8 * 25 + (outputTokens ?? 0) * 2000);
      expect(completed.text).toBe(completed.answer.message.content);
      expect(completed.keyDigest).toMatch(/^v1\.[\w-]{43}$/);
      const [row] = house.ledger.rows.values();
      expect(row).toMatchObject({ state: "answered", keyId: completed.keyDigest, cost: completed.cost });
      expect(house.ledger.saved).toEqual([]);
    });

    test("pays an unknown amount where the price is not known, and so does who saves it", async () => {
      const member = await house.open();
      const request = requestFor({ model: "own-model" });
      const first = await ask(member, { request });
      const second = await ask(member, { request });
      expect([first.cost, second.cost, second.saved.cost]).toEqual([null, 0, null]);
      expect(house.ledger.saved).toMatchObject([{ model: "own-model", cost: 0, calls: 1, unpriced: 1 }]);
    });
  });

  test("who asks the same later gets it from memory: free, with its age, and counted as saved", async () => {
    const member = await house.open();
    const first = await ask(member);
    house.pass(10 * MINUTE_MS);
    const second = await ask(member);
    const tokens = (first.usage?.inputTokens ?? 0) + (first.usage?.outputTokens ?? 0);
    expect(second).toEqual({
      ...first,
      source: CACHED,
      cost: 0,
      saved: { cost: first.cost, tokens, cause: "hit" },
      ageMs: 10 * MINUTE_MS,
      body: null,
    });
    expect(house.ledger.saved).toEqual([
      { model: first.model, cause: "hit", calls: 1, tokens, cost: first.cost, unpriced: 0 },
    ]);
    expect(house.fake.calls()).toHaveLength(1);
    expect(house.ledger.rows.size).toBe(1);
  });

  test("a step finds in the ledger what is in no cache any more: free, with its age", async () => {
    const first = await ask(await house.open({ keeps: false }), { caller: stepCaller() });
    house.pass(2 * 86_400_000);
    const second = await ask(await house.open(), { caller: stepCaller({ runId: "run2" }) });
    const { answer } = first;
    expect(second).toMatchObject({
      source: "ledger",
      text: first.text,
      usage: answer.usage,
      cost: 0,
      saved: { cost: first.cost, cause: "hit" },
      ageMs: 2 * 86_400_000,
      keyDigest: first.keyDigest,
    });
    expect(house.fake.calls()).toHaveLength(1);
  });

  test("a cache comes before the ledger, which is not even asked", async () => {
    const member = await house.open();
    await ask(member, { caller: stepCaller() });
    const find = house.ledger.findAnswer.bind(house.ledger);
    let asked = 0;
    house.ledger.findAnswer = async (...args) => {
      asked += 1;
      return await find(...args);
    };
    expect((await ask(member, { caller: stepCaller() })).source).toEqual(CACHED);
    expect(asked).toBe(0);
  });

  test("a caller of the endpoint is not given what only the ledger has", async () => {
    const member = await house.open({ keeps: false });
    await ask(member, { caller: stepCaller() });
    expect((await ask(member)).source).toBe("leader");
    expect(house.fake.calls()).toHaveLength(2);
  });

  test("a step and a caller of the endpoint who ask the same share what is kept", async () => {
    const member = await house.open();
    await ask(member, { caller: stepCaller() });
    expect((await ask(member)).source).toEqual(CACHED);
    expect(house.fake.calls()).toHaveLength(1);
  });

  test("those who ask at the same time follow one leader, and cost nothing", async () => {
    house.fake.script({ latencyMs: 600 });
    const members = [await house.open(), await house.open()];
    const asking = members.flatMap((member) => [ask(member), ask(member), ask(member)]);
    // Without Redis each member is a process of its own that shares with nobody.
    const leaders = redis === null ? 2 : 1;
    const all = await Promise.all(asking);
    expect(all.filter(({ source }) => source === "leader")).toHaveLength(leaders);
    const [leader] = all.filter(({ source }) => source === "leader");
    for (const { source, cost, saved, text } of all.filter((one) => one.source !== "leader")) {
      expect({ source, cost, text }).toEqual({ source: "follower", cost: 0, text: leader?.text });
      expect(saved).toMatchObject({ cost: leader?.cost, cause: "coalesced" });
    }
    expect(house.fake.calls()).toHaveLength(leaders);
    expect(new Set(house.ledger.saved.map(({ cause }) => cause))).toEqual(new Set(["coalesced"]));
    const counted = () => house.ledger.saved.reduce((sum, { calls }) => sum + calls, 0);
    await waitFor(() => counted() === 6 - leaders, { what: "all to be counted" });
  });

  test("a streamed caller and a plain one share a flight and an entry, whoever comes first", async () => {
    const member = await house.open();
    house.fake.script({ times: 1, chunkMs: 20 });
    const streamed = new Seen(stream(member));
    await waitFor(() => streamed.text.length > 0);
    const plain = await ask(member);
    await streamed.done;
    expect(plain).toMatchObject({ source: "follower", text: streamed.completed?.text });
    expect(streamed.text).toBe(plain.text);
    expect(streamed.completed?.source).toBe("leader");
    const late = new Seen(stream(member));
    await late.done;
    expect(late).toMatchObject({ text: "", completed: { source: CACHED, text: plain.text, cost: 0 } });
    expect(house.fake.calls()).toHaveLength(1);

    const request = requestFor({ seed: 1 });
    house.fake.script({ latencyMs: 600 });
    const first = ask(member, { request });
    await waitFor(() => house.fake.calls().length === 2);
    const second = new Seen(stream(member, { request }));
    await second.done;
    expect(second.completed).toMatchObject({ source: "follower", text: (await first).text });
    expect(house.fake.calls()).toHaveLength(2);
  });

  test("a step that would only wait is told to come back when it is worth it", async () => {
    const member = await house.open();
    house.fake.script({ latencyMs: 1_000 });
    const first = ask(member, { caller: stepCaller() });
    await waitFor(() => house.fake.calls().length === 1);
    const { signal } = new AbortController();
    const error = await ask(member, { caller: stepCaller() }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "answer_in_flight", retryable: true, postpones: true });
    const { sooner, retryAfterMs } = error as {
      sooner: (s: AbortSignal) => Promise<void>;
      retryAfterMs: number;
    };
    expect(retryAfterMs).toBeGreaterThan(0);
    expect(retryAfterMs).toBeLessThanOrEqual(5_000);
    await sooner(signal);
    await first;
    expect((await ask(member, { caller: stepCaller() })).source).toEqual(CACHED);
    expect(house.fake.calls()).toHaveLength(1);
  });

  test("a step whose answer comes while it looks for one is not sent a second time", async () => {
    const member = await house.open({ keeps: false });
    const looking = Promise.withResolvers<void>();
    const answered = Promise.withResolvers<void>();
    const find = house.ledger.findAnswer.bind(house.ledger);
    let looks = 0;
    house.ledger.findAnswer = async (...args) => {
      const found = await find(...args);
      looks += 1;
      if (looks === 1) {
        looking.resolve();
        await answered.promise;
      }
      return found;
    };
    const late = ask(member, { caller: stepCaller() });
    await looking.promise;
    const first = await ask(member, { caller: stepCaller() });
    answered.resolve();
    expect(await late).toMatchObject({ source: "ledger", text: first.text, cost: 0 });
    expect(house.fake.calls()).toHaveLength(1);
  });

  test("T40 what a caller does to an answer is not seen by those who get it after him (LangChain.js)", async () => {
    const member = await house.open();
    house.fake.script({ latencyMs: 100 });
    const [first, follower] = await Promise.all([ask(member), ask(member)]);
    const hit = await ask(member);
    const { text } = first;
    for (const { answer } of [first, follower, hit]) {
      for (const target of [answer, answer.message, answer.usage ?? {}] as Record<string, unknown>[]) {
        for (const name of Object.keys(target)) {
          try {
            target[name] = "spoilt";
          } catch {
            // Not letting it happen is as good.
          }
        }
      }
    }
    const next = await ask(member);
    expect(next.source).toEqual(CACHED);
    expect(next.answer).toMatchObject({ text, message: { content: text }, usage: { cachedTokens: 0 } });
    expect(follower.answer.message.content).toBe(text);
  });

  test("an answer is not kept from its callers because it could not be counted as saved", async () => {
    const member = await house.open();
    await ask(member);
    house.ledger.countSaved = async () => {
      throw new Error("The store is away.");
    };
    expect((await ask(member)).source).toEqual(CACHED);
  });

  test("a user's answers are no other user's, in any tier", async () => {
    const member = await house.open();
    await ask(member, { caller: stepCaller() });
    const ben = { user: "ben", scope: "user:ben" } as const;
    expect(await isKept(member, { caller: callerWith(ben) })).toBe(false);
    expect((await ask(member, { caller: callerWith(ben) })).source).toBe("leader");
    const cleo = { user: "cleo", scope: "user:cleo" } as const;
    expect((await ask(member, { caller: stepCaller({}, cleo) })).source).toBe("leader");
    expect(house.fake.calls()).toHaveLength(3);
  });

  test("a book that is shared on purpose has answers for all users, and who asks first pays", async () => {
    const member = await house.open();
    const scope = `book:${"0".repeat(64)}` as const;
    await ask(member, { caller: stepCaller({}, { scope }) });
    const second = await ask(member, { caller: stepCaller({}, { user: "ben", scope }) });
    expect(second).toMatchObject({ source: CACHED, cost: 0 });
    expect([...house.ledger.rows.keys()].filter((key) => key.startsWith("ben "))).toEqual([]);
  });

  test("what has no key is answered, and neither shared nor kept", async () => {
    const member = await house.open();
    house.fake.script({ latencyMs: 100 });
    const request = requestFor({ messages: [{ role: "user", content: `${TEXT} \ud800` }] });
    const all = await Promise.all([ask(member, { request }), ask(member, { request })]);
    expect(all.map(({ source, keyDigest }) => [source, keyDigest])).toEqual([
      ["leader", ""],
      ["leader", ""],
    ]);
    await ask(member, { request, caller: stepCaller() });
    await ask(member, { request, caller: stepCaller() });
    expect(house.fake.calls()).toHaveLength(4);
    expect([...house.ledger.rows.values()].map(({ keyId }) => keyId)).toEqual([null, null, null, null]);
    expect(await codeOf(ask(member, { request, policy: { mode: "only-if-cached" } }))).toBe(
      "answer_not_cached",
    );
    expect(await member.answers.explain(request, { mode: "reuse" }, "user:ada")).toMatchObject({
      cause: "uncacheable",
      sentence: expect.stringContaining("messages[0].content"),
    });
  });
});

describe("between processes", () => {
  const houses = useHouses("shared");
  let house: House;
  /** What a process is told of a change may be older than what it has just read: then it reads once more. */
  const inMemory = async (member: Member) =>
    await waitFor(async () => {
      const completed = await ask(member);
      return completed.source === "l1" && completed;
    });
  beforeEach(async () => {
    house = await houses.build();
  });

  test("an answer is found in Redis first, and then in memory, with the same age everywhere", async () => {
    const [one, two] = [await house.open(), await house.open()];
    const first = await ask(one);
    house.pass(MINUTE_MS);
    const second = await ask(two);
    expect(second.source).toBe("redis");
    const third = await inMemory(two);
    for (const { cost, saved, ageMs, text, answer } of [second, third]) {
      expect({ cost, ageMs, text, answer }).toEqual({
        cost: 0,
        ageMs: MINUTE_MS,
        text: first.text,
        answer: first.answer,
      });
      expect(saved).toMatchObject({ cost: first.cost, cause: "hit" });
    }
    expect(house.fake.calls()).toHaveLength(1);
  });

  test("an answer that is asked for anew replaces the one in the memory of others", async () => {
    const [one, two] = [await house.open(), await house.open()];
    house.fake.script({ times: 1, does: { kind: "answer", content: "old" } });
    await ask(one);
    await inMemory(two);
    house.fake.script({ does: { kind: "answer", content: "new" } });
    house.pass(1);
    await ask(one, { policy: { mode: "refresh" } });
    await waitFor(async () => (await ask(two)).text === "new", { what: "the other process to hear of it" });
    expect(house.fake.calls()).toHaveLength(2);
  });

  test("a streamed follower elsewhere reads the tokens as they come", async () => {
    const [one, two] = [await house.open(), await house.open()];
    house.fake.script({ chunkMs: 40 });
    const leader = new Seen(stream(one));
    await waitFor(() => leader.text.length > 0);
    const follower = new Seen(stream(two));
    await waitFor(() => follower.text.length > 0);
    expect(leader.completed).toBeNull();
    await Promise.all([leader.done, follower.done]);
    expect([leader.completed?.source, follower.completed?.source]).toEqual(["leader", "follower"]);
    expect(follower.text).toBe(leader.text);
    expect(follower.completed?.answer).toEqual(leader.completed?.answer);
    expect(follower.completed?.saved).toMatchObject({ cost: leader.completed?.cost, cause: "coalesced" });
    expect(house.fake.calls()).toHaveLength(1);
  });

  test("the leader's caller may leave: the call goes on while anybody listens, and ends when nobody does", async () => {
    const [one, two] = [await house.open(), await house.open()];
    house.fake.script({ times: 1, chunkMs: 40 });
    const leaving = new AbortController();
    const leader = new Seen(stream(one, { caller: callerWith({ signal: leaving.signal }) }));
    await waitFor(() => leader.text.length > 0);
    const follower = new Seen(stream(two));
    await waitFor(() => follower.text.length > 0);
    leaving.abort();
    await Promise.all([leader.done, follower.done]);
    expect(leader.error).toMatchObject({ code: "model_aborted" });
    expect(follower.completed).toMatchObject({ source: "follower", text: follower.text });
    expect(await isKept(one)).toBe(true);

    const request = requestFor({ seed: 2 });
    house.fake.script({ does: { kind: "hang", after: 900 } });
    const last = new AbortController();
    const alone = new Seen(stream(one, { request, caller: callerWith({ signal: last.signal }) }));
    await waitFor(() => alone.text.length > 0);
    last.abort();
    await alone.done;
    await waitFor(() => house.fake.calls()[1]?.outcome === "aborted");
    await waitFor(() => [...house.ledger.rows.values()].at(-1)?.state === "unknown");
    expect(house.fake.calls()).toHaveLength(2);
  });

  test("T3 many users' calls at once get their own answers, each from one call (LiteLLM #25447)", async () => {
    const members = [await house.open(), await house.open(), await house.open()];
    house.fake.script({
      latencyMs: 30,
      does: { kind: "answer", content: ({ prompt }) => `answer to ${prompt}` },
    });
    const users = Array.from({ length: 8 }, (_, index) => `user${index}`);
    const all = await Promise.all(
      users.flatMap((user) =>
        members.map(async (member) => {
          const request = requestFor({ messages: [{ role: "user", content: `nonce of ${user}` }] });
          const caller = callerWith({ user, scope: `user:${user}` });
          return [user, (await ask(member, { request, caller })).text];
        }),
      ),
    );
    for (const [user, text] of all) expect(text).toBe(`answer to nonce of ${user}`);
    expect(house.fake.calls()).toHaveLength(8);
  });
});
