import { expect, test } from "@jest/globals";
import { canonicalJson, digestOf } from "../src/digest.ts";

test("the order in which an object was built does not change its digest, at any depth", () => {
  const one = { b: [{ y: 1, x: "ä" }], a: null };
  const other = { a: null, b: [{ x: "ä", y: 1 }] };
  expect(digestOf(one)).toBe(digestOf(other));
  expect(digestOf(one)).toMatch(/^[0-9a-f]{64}$/);
});

test("every difference in the values changes the digest", () => {
  const values = [
    { a: 1 },
    { a: "1" },
    { a: [1] },
    { a: 1, b: null },
    { b: 1 },
    { a: true },
    { a: null },
    {},
    [],
    [{ a: 1 }],
    null,
    "a",
    { a: -1 },
    { a: [1, 2] },
    { a: [2, 1] },
    { a: { b: 1 } },
  ];
  expect(new Set(values.map(digestOf)).size).toBe(values.length);
});

test("a property that is undefined counts as not there", () => {
  expect(canonicalJson({ a: 1, b: undefined })).toBe('{"a":1}');
});

test("canonical JSON is JSON of the same value", () => {
  const value = { z: [1, "two", { three: 3.5, '"': "\u2028" }], a: false, n: null };
  expect(JSON.parse(canonicalJson(value))).toEqual(value);
});

test.each([
  [Number.NaN],
  [Number.POSITIVE_INFINITY],
  [1n],
  [() => 1],
  [[undefined]],
  [new Date(0)],
  [new Map()],
  [Symbol("s")],
])("what JSON cannot say is refused: %p", (value) => {
  expect(() => canonicalJson({ value })).toThrow(TypeError);
});
