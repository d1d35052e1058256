import { expect, test } from "@jest/globals";
import { readRetryAfter } from "../../src/upstream/retry-after.ts";

const now = new Date("2026-01-01T00:00:00Z");

test.each<[Record<string, string>, number | null]>([
  [{}, null],
  [{ "retry-after": "7" }, 7000],
  [{ "retry-after": "0.5" }, 500],
  [{ "retry-after": "86400" }, 86_400_000],
  [{ "retry-after": "Thu, 01 Jan 2026 00:02:00 GMT" }, 120_000],
  [{ "retry-after": "Wed, 31 Dec 2025 00:00:00 GMT" }, 0],
  [{ "retry-after": "soon" }, null],
  [{ "retry-after": "-3" }, 0],
  [{ "retry-after-ms": "1250", "retry-after": "9" }, 1250],
  [{ "retry-after": "3", "x-ratelimit-reset-requests": "1h" }, 3000],
  [{ "x-ratelimit-reset-requests": "1m30s" }, 90_000],
  [{ "x-ratelimit-reset-tokens": "120ms" }, 120],
  [{ "x-ratelimit-reset-tokens": "1h2m3.5s" }, 3_723_500],
  [{ "x-ratelimit-reset-tokens": "12" }, 12_000],
  [{ "x-ratelimit-reset-tokens": "later" }, null],
  [{ "x-ratelimit-reset-requests": "2s", "x-ratelimit-reset-tokens": "5s" }, 5000],
  [
    {
      "x-ratelimit-remaining-requests": "0",
      "x-ratelimit-reset-requests": "2s",
      "x-ratelimit-remaining-tokens": "90",
      "x-ratelimit-reset-tokens": "5s",
    },
    2000,
  ],
])("headers %j ask for %p ms", (headers, milliseconds) => {
  expect(readRetryAfter(new Headers(headers), now)).toBe(milliseconds);
});
