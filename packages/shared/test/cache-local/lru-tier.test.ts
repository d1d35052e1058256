import { describe, expect, test } from "@jest/globals";
import { LruTier } from "../../src/cache/local/lru-tier.ts";
import type { LocalEntry } from "../../src/cache/local-tier.ts";

const ENTRY: LocalEntry = {
  value: "value",
  expiresAt: 0,
  staleUntil: 0,
  refreshFrom: 0,
  loadMs: 0,
  stamp: 0,
  revision: 0,
  etag: null,
  isAlone: false,
  bytes: 0,
  tags: [],
};

const entry = (value: string): LocalEntry => ({ ...ENTRY, value });
const familyOf = (key: string) => key.slice(0, key.indexOf(":"));

function openTier(maxBytes: number) {
  const evicted: string[] = [];
  const tier = new LruTier({ maxBytes, familyOf, onEvict: (family) => evicted.push(family) });
  return { tier, evicted };
}

describe("the local tier", () => {
  test("gives what was set, and nothing after it was deleted", () => {
    const { tier } = openTier(10_000);
    tier.set("a:1", entry("one"), 10);
    expect(tier.get("a:1")?.value).toBe("one");
    expect(tier.get("a:2")).toBeUndefined();
    tier.delete("a:1");
    expect(tier.get("a:1")).toBeUndefined();
    expect(tier.size).toBe(0);
    expect(tier.bytes).toBe(0);
  });

  test("keeps within its bytes whatever is set, and drops what was used least recently", () => {
    const { tier, evicted } = openTier(10_000);
    tier.set("a:kept", entry("kept"), 500);
    for (let index = 0; index < 1_000; index += 1) {
      tier.set(`b:${index}`, entry("filler"), 500 + (index % 700));
      expect(tier.get("a:kept")).toBeDefined();
      expect(tier.bytes).toBeLessThanOrEqual(10_000);
    }
    expect(tier.get("b:0")).toBeUndefined();
    expect(tier.get("b:999")).toBeDefined();
    expect(tier.evictions).toBe(1_001 - tier.size);
    expect(evicted).toEqual(Array.from({ length: tier.evictions }, () => "b"));
  });

  test("counts more for an entry than its bytes, as keys and records take room, too", () => {
    const { tier } = openTier(10_000);
    tier.set("a:1", entry(""), 0);
    expect(tier.bytes).toBeGreaterThan(100);
  });

  test("does not keep what is larger than itself, nor what was there before it", () => {
    const { tier, evicted } = openTier(1_000);
    tier.set("a:1", entry("small"), 10);
    tier.set("a:1", entry("large"), 1_001);
    expect(tier.get("a:1")).toBeUndefined();
    expect(tier.sizeOf("a")).toBe(0);
    expect(evicted).toEqual([]);
  });

  test("deletes what a function picks, and says how many", () => {
    const { tier } = openTier(10_000);
    for (const key of ["a:1", "a:2", "b:1"]) tier.set(key, entry(key), 10);
    expect(tier.deleteMatching((key, { value }) => key.startsWith("a") && value === "a:2")).toBe(1);
    expect(["a:1", "a:2", "b:1"].filter((key) => tier.get(key))).toEqual(["a:1", "b:1"]);
  });

  test("knows how many entries each family has, however they came and went", () => {
    const { tier } = openTier(3_000);
    const kept = entry("same");
    tier.set("a:1", kept, 10);
    tier.set("a:1", kept, 10);
    tier.set("a:1", entry("other"), 10);
    tier.set("a:2", entry("two"), 10);
    tier.set("b:1", entry("three"), 10);
    expect([tier.sizeOf("a"), tier.sizeOf("b"), tier.sizeOf("c")]).toEqual([2, 1, 0]);
    for (let index = 0; index < 100; index += 1) tier.set(`c:${index}`, entry("filler"), 100);
    expect([tier.sizeOf("a"), tier.sizeOf("b"), tier.sizeOf("c")]).toEqual([0, 0, tier.size]);
    tier.clear();
    expect(tier.sizeOf("c")).toBe(0);
    expect(tier.bytes).toBe(0);
  });
});
