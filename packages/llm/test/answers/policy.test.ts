import { describe, expect, test } from "@jest/globals";
import { endpointPolicy, PolicyError } from "../../src/answers/policy.ts";
import { asking } from "../request/keys.ts";

const HOUR_MS = 3_600_000;

function policyOf(headers: Record<string, string>, extra: Record<string, unknown> = {}) {
  return endpointPolicy(asking("Hello", extra), new Headers(headers), { mostTtlMs: HOUR_MS });
}

describe("without a header", () => {
  test.each([
    [0, "reuse"],
    [-0, "reuse"],
    [0.1, "bypass"],
    [1, "bypass"],
    [undefined, "bypass"],
    [null, "bypass"],
    ["0", "bypass"],
  ])("a caller of the endpoint who asks with temperature %p gets %s", (temperature, mode) => {
    expect(policyOf({}, { temperature })).toEqual({ mode });
  });
});

describe("x-mythic-cache-mode", () => {
  test.each(["reuse", "refresh", "bypass", "only-if-cached"] as const)(
    "says %s at any temperature",
    (mode) => {
      expect(policyOf({ "x-mythic-cache-mode": mode }, { temperature: 1 })).toEqual({ mode });
      expect(policyOf({ "X-Mythic-Cache-Mode": ` ${mode.toUpperCase()} ` }, { temperature: 0 })).toEqual({
        mode,
      });
    },
  );

  test.each(["", "on", "true", "reuse, refresh", "no-cache"])(
    "says nothing with %p, which is refused",
    (mode) => {
      expect(() => policyOf({ "x-mythic-cache-mode": mode })).toThrow(PolicyError);
      expect(() => policyOf({ "x-mythic-cache-mode": mode })).toThrow(
        "x-mythic-cache-mode is one of reuse, refresh, bypass, only-if-cached.",
      );
    },
  );
});

describe("x-mythic-cache-ttl", () => {
  test("T23 is how long this answer is kept, in seconds, and asks for reuse by itself (LiteLLM #1218, #2317)", () => {
    expect(policyOf({ "x-mythic-cache-ttl": "600" })).toEqual({ mode: "reuse", ttlMs: 600_000 });
    const both = { "x-mythic-cache-ttl": "600", "x-mythic-cache-mode": "refresh" };
    expect(policyOf(both)).toEqual({ mode: "refresh", ttlMs: 600_000 });
  });

  test.each([
    ["0", 0],
    ["1", 1000],
    ["3600", HOUR_MS],
    ["3601", HOUR_MS],
    ["999999999999999999999999", HOUR_MS],
    ["9".repeat(400), HOUR_MS],
  ])(
    "T5 may be none, 0 or huge: %s is never more than the operator's (LiteLLM #7467, #17197)",
    (value, ttlMs) => {
      expect(policyOf({ "x-mythic-cache-ttl": value }).ttlMs).toBe(ttlMs);
      expect(policyOf({}, { temperature: 0 }).ttlMs).toBeUndefined();
    },
  );

  test.each(["-1", "1.5", "60s", "1h", "NaN", "", "1e3", "0x10"])("T5 is refused as %p", (value) => {
    expect(() => policyOf({ "x-mythic-cache-ttl": value })).toThrow(
      "x-mythic-cache-ttl is a whole number of seconds, such as 600.",
    );
  });
});

describe("Cache-Control", () => {
  test("T1, T23 no-cache is honoured: nothing is taken, and what comes is kept (LiteLLM #3199, #1218)", () => {
    expect(policyOf({ "cache-control": "no-cache" }, { temperature: 0 })).toEqual({ mode: "refresh" });
  });

  test("T23 no-store neither takes nor keeps (LiteLLM #2317)", () => {
    expect(policyOf({ "cache-control": "no-store" }, { temperature: 0 })).toEqual({ mode: "bypass" });
    expect(policyOf({ "cache-control": "No-Cache, NO-STORE" })).toEqual({ mode: "bypass" });
  });

  test("only-if-cached never asks", () => {
    expect(policyOf({ "cache-control": "only-if-cached" })).toEqual({ mode: "only-if-cached" });
    expect(policyOf({ "cache-control": "no-store, only-if-cached" })).toEqual({ mode: "only-if-cached" });
  });

  test("T34 max-age counts in seconds, and bounds the age of what is taken (Portkey #1256, #201)", () => {
    expect(policyOf({ "cache-control": "max-age=60" })).toEqual({ mode: "reuse", maxAgeMs: 60_000 });
    expect(policyOf({ "cache-control": 'public, Max-Age = "60"' })).toEqual({
      mode: "reuse",
      maxAgeMs: 60_000,
    });
    const both = { "cache-control": "max-age=60", "x-mythic-cache-ttl": "5" };
    expect(policyOf(both)).toEqual({ mode: "reuse", maxAgeMs: 60_000, ttlMs: 5000 });
    expect(policyOf({ "cache-control": "only-if-cached, max-age=60" })).toEqual({
      mode: "only-if-cached",
      maxAgeMs: 60_000,
    });
  });

  test("T34 max-age=0 asks anew, as nothing is that young (Portkey #201)", () => {
    expect(policyOf({ "cache-control": "max-age=0" }, { temperature: 0 })).toEqual({
      mode: "refresh",
      maxAgeMs: 0,
    });
  });

  test("T5 a max-age beyond all time is endless, and no error (LiteLLM #7467)", () => {
    expect(policyOf({ "cache-control": `max-age=${"9".repeat(400)}` }).maxAgeMs).toBe(2 ** 31 * 1000);
  });

  test.each(["max-age", "max-age=", "max-age=soon", "max-age=-1", "max-age=1.5"])(
    "T34 %p is refused",
    (value) => {
      expect(() => policyOf({ "cache-control": value })).toThrow(PolicyError);
    },
  );

  test.each(["", "no-transform", "max-stale=5, private", "x-unknown=1", ",,"])(
    "%p changes nothing",
    (value) => {
      expect(policyOf({ "cache-control": value }, { temperature: 0 })).toEqual({ mode: "reuse" });
      expect(policyOf({ "cache-control": value })).toEqual({ mode: "bypass" });
    },
  );

  test.each([
    ["max-age=1, max-age=2", null],
    ["no-cache, only-if-cached", null],
    ["no-store", "reuse"],
    ["no-store", "refresh"],
    ["no-cache", "reuse"],
    ["no-cache", "only-if-cached"],
    ["only-if-cached", "reuse"],
    ["only-if-cached", "bypass"],
    ["no-cache, no-store", "refresh"],
  ])("%p with the mode %p contradicts itself and is refused", (value, mode) => {
    const headers = { "cache-control": value, ...(mode && { "x-mythic-cache-mode": mode }) };
    expect(() => policyOf(headers)).toThrow(PolicyError);
  });

  test.each([
    ["no-store", "bypass"],
    ["no-store", "only-if-cached"],
    ["no-cache", "bypass"],
    ["no-cache", "refresh"],
    ["no-cache, no-store", "bypass"],
    ["only-if-cached", "only-if-cached"],
    ["max-age=5", "reuse"],
  ])("%p lets the mode %p be, which does what it says", (value, mode) => {
    expect(policyOf({ "cache-control": value, "x-mythic-cache-mode": mode }).mode).toBe(mode);
  });
});
