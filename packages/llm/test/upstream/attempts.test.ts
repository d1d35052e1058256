import { describe, expect, test } from "@jest/globals";
import { ModelError } from "../../src/model-error.ts";
import { ATTEMPTS, nextAttempt } from "../../src/upstream/attempts.ts";

const always = (value: number) => () => value;

test("attempts end after the fifth", () => {
  const error = new ModelError("model_unavailable", "Away.");
  let attempts = 0;
  let asked = 0;
  for (let next = nextAttempt(error, 0); next !== null; next = nextAttempt(error, attempts)) {
    attempts = next.attempts;
    asked += 1;
  }
  expect(asked + 1).toBe(ATTEMPTS.most);
});

test("the wait is anything up to a bound that doubles to a minute", () => {
  const error = new ModelError("model_timeout", "Late.");
  const bounds = [0, 1, 2, 3].map((attempts) => nextAttempt(error, attempts, always(1))?.afterMs);
  expect(bounds).toEqual([1_000, 2_000, 4_000, 8_000]);
  expect(nextAttempt(error, 3, always(0))?.afterMs).toBe(0);
});

test("what the endpoint asked to wait comes on top, however long", () => {
  const error = new ModelError("model_unavailable", "Away.", { retryAfterMs: 7_200_000 });
  expect(nextAttempt(error, 0, always(0.5))?.afterMs).toBe(7_200_500);
});

describe("a limit of the account", () => {
  test("is no attempt, as it says nothing about the request", () => {
    const error = new ModelError("model_rate_limited", "Too many.");
    expect(nextAttempt(error, 4)).toMatchObject({ attempts: 4 });
  });

  test("is not tried again when the account has no means left", () => {
    expect(nextAttempt(new ModelError("model_rate_limited", "Empty.", { retryable: false }), 0)).toBeNull();
  });
});

test.each([
  "model_refused",
  "model_rejected_request",
  "model_unauthorised",
  "model_context_exceeded",
] as const)("%s is never asked again", (code) => {
  expect(nextAttempt(new ModelError(code, "No."), 0)).toBeNull();
});
