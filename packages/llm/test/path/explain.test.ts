import { beforeEach, describe, expect, test } from "@jest/globals";
import { waitFor } from "@mythic/testing/wait";
import type { Explanation } from "../../src/answers/explain.ts";
import type { AnswerPolicy } from "../../src/answers/policy.ts";
import type { ChatRequest } from "../../src/request/chat-request.ts";
import { ask, BYPASS, REFRESH, REUSE, requestFor, stepCaller, TEXT } from "./asking.ts";
import { HOUR_MS, type House, type Member, useHouses } from "./set-up.ts";

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

  /** What is said once it is of this cause: what came of a request is noted behind its back. */
  async function explained(
    cause: Explanation["cause"],
    request: ChatRequest = requestFor(),
    policy: AnswerPolicy = REUSE,
  ): Promise<Explanation> {
    let said: Explanation | null = null;
    return await waitFor(
      async () => {
        said = await member.answers.explain(request, policy, "user:ada");
        return said.cause === cause && said;
      },
      { what: `"${cause}"` },
    ).catch((error: unknown) => {
      throw new Error(`It was said: ${JSON.stringify(said)}`, { cause: error });
    });
  }

  test("a request that nobody made before is like nothing", async () => {
    await explained("nothing_like_it");
  });

  test("a request that would be a hit is said to be one, and is one", async () => {
    const { keyDigest } = await ask(member);
    expect(await explained("none")).toMatchObject({ about: keyDigest });
    await ask(member, { policy: { mode: "only-if-cached" } });
  });

  test("a request that differs is told in which fields", async () => {
    const { keyDigest } = await ask(member, { request: requestFor({ seed: 1, temperature: 0 }) });
    const messages = [{ role: "user", content: `${TEXT} ` }];
    const asked = requestFor({ temperature: 0.1, top_p: 1, messages });
    expect(await explained("different", asked)).toEqual({
      cause: "different",
      sentence:
        "The nearest request before it differs in messages[0] (changed), seed (removed), temperature (changed), top_p (added).",
      differences: [
        { field: "messages[0]", how: "changed" },
        { field: "seed", how: "removed" },
        { field: "temperature", how: "changed" },
        { field: "top_p", how: "added" },
      ],
      about: keyDigest,
    });
  });

  test("a field that cannot change the text makes no difference", async () => {
    await ask(member);
    const denied = { user: "x", metadata: { a: "b" }, stream: true, service_tier: "flex", store: true };
    await explained("none", requestFor(denied));
    expect((await ask(member, { request: requestFor(denied) })).source).not.toBe("leader");
  });

  test("an answer that has expired is told with its end", async () => {
    await ask(member);
    const end = new Date(house.now().getTime() + HOUR_MS);
    await explained("none");
    house.pass(HOUR_MS);
    const { sentence } = await explained("expired");
    expect(sentence).toBe(`The answer is not kept any more since ${end.toISOString()}.`);
  });

  test("an answer that is too old is told with its age", async () => {
    await ask(member);
    await explained("none");
    house.pass(60_000);
    const { sentence } = await explained("too_old", requestFor(), { mode: "reuse", maxAgeMs: 1_000 });
    expect(sentence).toBe("The answer is 60 s old, and the call takes none older than 1 s.");
  });

  test("a mode that does not look is told", async () => {
    await ask(member);
    for (const policy of [BYPASS, REFRESH]) {
      const { sentence } = await explained("mode", requestFor(), policy);
      expect(sentence).toBe(`The call did not look: its mode is ${policy.mode}.`);
    }
  });

  test("variants that are still to come are counted", async () => {
    const policy = { mode: "reuse", variants: 3 } as const;
    await ask(member, { policy });
    await explained("variants", requestFor(), policy);
    await ask(member, { policy });
    await ask(member, { policy });
    await explained("none", requestFor(), policy);
  });

  test("an answer that its caller turned down, or wanted kept for no time, is told", async () => {
    const storeWhen = () => false;
    await ask(member, { policy: { mode: "reuse", storeWhen } });
    expect((await explained("not_stored")).sentence).toBe(
      "The last answer was not kept: the caller turned it down.",
    );
    const request = requestFor({ seed: 1 });
    await ask(member, { request, policy: { mode: "reuse", ttlMs: 0 } });
    expect((await explained("not_stored", request)).sentence).toBe(
      "The last answer was not kept: the call asked to keep it for no time.",
    );
  });

  test("what is said holds nothing of a text, and neither does what is remembered for it (LiteLLM #29414)", async () => {
    await ask(member, { caller: stepCaller() });
    await explained("none");
    const said = await Promise.all(
      [requestFor(), requestFor({ seed: 1 }), requestFor({ messages: [] })].map(
        async (request) => await member.answers.explain(request, REUSE, "user:ada"),
      ),
    );
    const traces = (await house.dump()).split("\n").filter((line) => line.startsWith("{"));
    if (redis !== null) expect(traces.join()).toContain("canonicalFields");
    for (const word of ["lamp", "ninety", "oil"]) {
      expect(JSON.stringify([said, traces])).not.toContain(word);
    }
  });

  test("nothing is told of what another user asked", async () => {
    await ask(member);
    await explained("none");
    const { cause, about } = await member.answers.explain(requestFor(), REUSE, "user:ben");
    expect({ cause, about }).toEqual({ cause: "nothing_like_it", about: null });
  });
});

describe("with Redis", () => {
  const houses = useHouses("shared");

  test("a process explains what another one did", async () => {
    const house = await houses.build();
    const [one, two] = [await house.open(), await house.open()];
    house.fake.script({ does: { kind: "truncate" } });
    await ask(one);
    await waitFor(async () => {
      const { cause } = await two.answers.explain(requestFor(), REUSE, "user:ada");
      return cause === "not_stored";
    });
  });
});
