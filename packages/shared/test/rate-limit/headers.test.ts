import { expect, test } from "@jest/globals";
import { type Decision, type Limit, openRateLimiter, rateLimitHeaders } from "@mythic/shared/rate-limit";
import { DrivenClock, HOUR, MINUTE } from "./set-up.ts";

const READS: Limit = { name: "reads", key: "reader", limit: 3, periodMs: MINUTE };
const RUNS: Limit = { name: "runs.created", key: "reader", limit: 120, periodMs: HOUR, cost: 20 };
const open = () => {
  const clock = new DrivenClock();
  return { clock, limiter: openRateLimiter({ namespace: "test", redis: null, clock: clock.now }) };
};

test("headers name each policy with its quota and window, and each limit with what remains and when all is back", async () => {
  const limits = [READS, RUNS];
  expect(rateLimitHeaders(limits, await open().limiter.limit(limits))).toEqual({
    "RateLimit-Policy": '"reads";q=3;w=60, "runs.created";q=120;w=3600',
    RateLimit: '"reads";r=2;t=20, "runs.created";r=100;t=600',
  });
});

test("a refusal says when to come again: the same in Retry-After and for the limit that refused", async () => {
  const { clock, limiter } = open();
  await limiter.limit([{ ...READS, cost: 3 }]);
  clock.advance(500);
  expect(rateLimitHeaders([READS], await limiter.limit([READS]))).toEqual({
    "RateLimit-Policy": '"reads";q=3;w=60',
    RateLimit: '"reads";r=0;t=20',
    "Retry-After": "20",
  });
});

test("what can never pass has no time to come again", async () => {
  const limits = [{ ...READS, cost: 4 }];
  expect(rateLimitHeaders(limits, await open().limiter.limit(limits))).toEqual({
    "RateLimit-Policy": '"reads";q=3;w=60',
  });
});

test("no limits make no headers", async () => {
  expect(rateLimitHeaders([], await open().limiter.limit([]))).toEqual({});
});

test("numbers are the integers that structured fields have: rounded so that nobody is promised too much, and at most 15 digits", async () => {
  const limits: readonly Limit[] = [
    { name: "short", key: "reader", limit: 2.9, periodMs: 1_500 },
    { name: "vast", key: "reader", limit: 1e18, periodMs: HOUR },
  ];
  const { limiter } = open();
  expect(rateLimitHeaders(limits, await limiter.limit(limits))).toEqual({
    "RateLimit-Policy": '"short";q=2;w=2, "vast";q=999999999999999;w=3600',
    RateLimit: '"short";r=1;t=1, "vast";r=999999999999999;t=1',
  });
});

test("headers are lists of strings with parameters, as RFC 9651 writes them", async () => {
  const item = String.raw`"[\w.-]+"(?:;[a-z]+=\d{1,15})+`;
  const list = new RegExp(`^${item}(?:, ${item})*$`);
  const limits = [READS, RUNS, { ...READS, name: "A_b-c.9" }];
  const { limiter } = open();
  const decisions: Decision[] = [await limiter.limit(limits), await limiter.peek(limits)];
  while ((decisions.at(-1)?.allowed ?? false) && decisions.length < 10)
    decisions.push(await limiter.limit(limits));
  expect(decisions.at(-1)?.allowed).toBe(false);
  for (const decision of decisions) {
    const headers = rateLimitHeaders(limits, decision);
    expect(headers["RateLimit-Policy"]).toMatch(list);
    expect(headers["RateLimit"]).toMatch(list);
  }
});
