import { describe, expect, test } from "@jest/globals";
import { type AnswerTrace, explainMiss } from "../../src/answers/explain.ts";
import type { AnswerPolicy } from "../../src/answers/policy.ts";
import type { ChatRequest } from "../../src/request/chat-request.ts";
import { ada, asking, keyOf, keys } from "../request/keys.ts";

const now = new Date("2026-11-20T12:00:00Z");
const minutesAgo = (minutes: number) => new Date(now.getTime() - minutes * 60_000);
const reuse: AnswerPolicy = { mode: "reuse" };

/** An answer of ten minutes ago that is kept for an hour, but for what is said. */
function past(request: ChatRequest, extra: Partial<AnswerTrace> = {}): AnswerTrace {
  const { id, canonicalFields } = keyOf(request);
  return { id, canonicalFields, answeredAt: minutesAgo(10), expiresAt: minutesAgo(-50), ...extra };
}

function notKept(request: ChatRequest, notStored: AnswerTrace["notStored"] & string): AnswerTrace {
  const { expiresAt: _, ...trace } = past(request);
  return { ...trace, notStored };
}

function explain(request: ChatRequest, traces: readonly AnswerTrace[], policy = reuse) {
  return explainMiss({ key: keys.of(request, ada), policy, past: traces, now });
}

const asked: ChatRequest = {
  model: "gpt-5-mini",
  messages: [
    { role: "system", content: "My secret instructions." },
    { role: "user", content: "My secret diary." },
  ],
  temperature: 0,
};

describe("a miss is explained by", () => {
  test("what differs from the nearest request before it", () => {
    const far = { ...asked, model: "gpt-5", messages: [{ role: "user", content: "Else." }] };
    const near = { ...asked, temperature: 0.2, top_p: 1 };
    const { seed: _, ...request } = { ...asked, seed: 1, max_tokens: 5 };
    const explanation = explain(request, [past(far), past(near, { answeredAt: minutesAgo(30) })]);
    expect(explanation).toEqual({
      cause: "different",
      sentence:
        "The nearest request before it differs in max_tokens (added), temperature (changed), top_p (removed).",
      differences: [
        { field: "max_tokens", how: "added" },
        { field: "temperature", how: "changed" },
        { field: "top_p", how: "removed" },
      ],
      about: past(near).id,
    });
  });

  test("the one message that differs, by its place", () => {
    const other = {
      ...asked,
      messages: asked.messages.with(1, { role: "user", content: "My secret diary. " }),
    };
    expect(explain(other, [past(asked)]).differences).toEqual([{ field: "messages[1]", how: "changed" }]);
    const longer = { ...asked, messages: [...asked.messages, { role: "user", content: "Go on." }] };
    expect(explain(longer, [past(asked)]).differences).toEqual([{ field: "messages[2]", how: "added" }]);
  });

  test("another endpoint", () => {
    const key = keys.of(asked, { ...ada, endpoint: "https://elsewhere.example.com/v1" });
    const explanation = explainMiss({ key, policy: reuse, past: [past(asked)], now });
    expect(explanation.differences).toEqual([{ field: "(endpoint)", how: "changed" }]);
  });

  test("fields whose names an engine treats in its own way", () => {
    const odd = JSON.parse('{"constructor":1,"__proto__":2}') as object;
    expect(explain({ ...asked, ...odd }, [past(asked)]).differences).toEqual([
      { field: "__proto__", how: "added" },
      { field: "constructor", how: "added" },
    ]);
  });

  test("expiry", () => {
    const explanation = explain(asked, [past(asked, { expiresAt: minutesAgo(1) })]);
    expect(explanation.cause).toBe("expired");
    expect(explanation.sentence).toBe("The answer is not kept any more since 2026-11-20T11:59:00.000Z.");
  });

  test("an age that the call does not take", () => {
    const explanation = explain(asked, [past(asked)], { mode: "reuse", maxAgeMs: 60_000 });
    expect(explanation).toMatchObject({
      cause: "too_old",
      sentence: "The answer is 600 s old, and the call takes none older than 60 s.",
    });
  });

  test("why the last answer was not kept", () => {
    const expired = past(asked, { answeredAt: minutesAgo(99), expiresAt: minutesAgo(39) });
    expect(explain(asked, [expired, notKept(asked, "truncated")])).toMatchObject({
      cause: "not_stored",
      sentence: "The last answer was not kept: it was cut off at the limit of output tokens.",
    });
    const later = past(asked, { answeredAt: minutesAgo(5), expiresAt: minutesAgo(1) });
    expect(explain(asked, [later, notKept(asked, "truncated")]).cause).toBe("expired");
  });

  test("the mode of the call, which looks for nothing", () => {
    for (const mode of ["bypass", "refresh"] as const) {
      expect(explain(asked, [past(asked)], { mode })).toMatchObject({
        cause: "mode",
        sentence: `The call did not look: its mode is ${mode}.`,
      });
    }
  });

  test("variants that are still to come", () => {
    const policy = { mode: "reuse", variants: 2 } as const;
    expect(explain(asked, [past(asked)], policy)).toMatchObject({
      cause: "variants",
      sentence: "The call wants 2 different answers to choose from, and 1 is kept.",
    });
    expect(explain(asked, [past(asked), past(asked)], policy).cause).toBe("none");
  });

  test("what has no key", () => {
    expect(explain({ ...asked, seed: Number.NaN }, [past(asked)])).toMatchObject({
      cause: "uncacheable",
      sentence: "The request has no key: seed is NaN.",
    });
  });

  test("another form of keys, when the request is the same and its key is not", () => {
    expect(explain(asked, [past(asked, { id: "v0.x" })]).cause).toBe("key_version");
  });

  test("there being nothing like it", () => {
    expect(explain(asked, []).cause).toBe("nothing_like_it");
    const foreign = keyOf(asking("Else.", { model: "m" }), { scope: "user:ben", endpoint: "else" });
    const { id, canonicalFields } = foreign;
    expect(explain(asked, [{ ...past(asked), id, canonicalFields }]).cause).toBe("nothing_like_it");
  });
});

test("what would be a hit is said to be one", () => {
  expect(explain(asked, [past(asked)]).cause).toBe("none");
  expect(explain(asked, [past(asked)], { mode: "only-if-cached", maxAgeMs: 600_000 }).cause).toBe("none");
  const refused = { ...notKept(asked, "empty"), answeredAt: minutesAgo(1) };
  expect(explain(asked, [refused, past(asked)]).cause).toBe("none");
});

test("T11 no explanation holds anything of a text (LiteLLM #29414)", () => {
  const traces = [past(asked), notKept({ ...asked, seed: 2 }, "refused")];
  const requests: ChatRequest[] = [
    { ...asked, "My secret field": 1 },
    { ...asked, messages: [{ role: "user", content: "My secret \ud800" }] },
    asking("My secret."),
    asked,
  ];
  for (const request of requests) {
    expect(JSON.stringify([explain(request, traces), traces])).not.toContain("secret");
  }
});
