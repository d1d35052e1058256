import { createHash } from "node:crypto";
import { describe, expect, test } from "@jest/globals";
import { makeApiKey, parseApiKey } from "../src/api-key.ts";

describe("API keys", () => {
  test("a key says what it is and is found by its hash", () => {
    const { key, id, sha256, lastFour } = makeApiKey();
    expect(key).toMatch(/^myth_live_[0-9A-Za-z_-]{8}_[0-9A-Za-z_-]{49}$/);
    expect(sha256).toBe(createHash("sha256").update(key).digest("hex"));
    expect(parseApiKey(key)).toEqual({ id, sha256 });
    expect(key.endsWith(lastFour)).toBe(true);
  });

  test("no two keys are alike", () => {
    const keys = Array.from({ length: 1_000 }, makeApiKey);
    expect(new Set(keys.map(({ id }) => id)).size).toBe(1_000);
    expect(new Set(keys.map(({ sha256 }) => sha256)).size).toBe(1_000);
  });

  test("any single wrong character is noticed", () => {
    const { key } = makeApiKey();
    for (let at = 0; at < key.length; at++) {
      const other = key[at] === "x" ? "y" : "x";
      expect(parseApiKey(key.slice(0, at) + other + key.slice(at + 1))).toBeNull();
    }
  });

  test("a text that is cut, longer or no key at all is none", () => {
    const { key } = makeApiKey();
    for (const text of ["", "myth_live_", key.slice(1), key.slice(0, -1), `${key}A`, ` ${key}`, `${key}\n`]) {
      expect(parseApiKey(text)).toBeNull();
    }
  });
});
