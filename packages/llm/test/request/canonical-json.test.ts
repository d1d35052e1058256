import { expect, test } from "@jest/globals";
import { canonicalJson, digestOf } from "../../src/request/canonical-json.ts";

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

test("what is refused is named by where it is, and a hole in a list counts", () => {
  const holes: unknown[] = [1, 2];
  holes.length = 3;
  expect(() => canonicalJson({ a: [{ b: holes }] })).toThrow("a[0].b[2] is undefined");
  expect(() => canonicalJson(1n)).toThrow("The value is a bigint");
  expect(() => canonicalJson({ "names of this form stay out": 1n })).toThrow("… is a bigint");
});

test("a value that holds itself is refused, not followed for ever", () => {
  const loop: unknown[] = [];
  loop.push(loop, loop);
  expect(() => canonicalJson(loop)).toThrow("holds itself");
});

test("objects of other contexts and without a prototype are plain, those of a class are not", () => {
  const bare = Object.assign(Object.create(null), { a: 1 });
  const other: unknown = structuredClone({ a: 1 });
  expect([bare, other].map((value) => canonicalJson(value))).toEqual(['{"a":1}', '{"a":1}']);
  class Own {
    readonly a = 1;
  }
  expect(() => canonicalJson(new Own())).toThrow(TypeError);
});

test("a name that an engine treats in its own way is a name like others", () => {
  const value: unknown = JSON.parse('{"__proto__":{"a":1},"constructor":2,"10":3,"9":4}');
  expect(canonicalJson(value)).toBe('{"10":3,"9":4,"__proto__":{"a":1},"constructor":2}');
});
