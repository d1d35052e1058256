import { expect, test } from "@jest/globals";
import { type NoteOptions, noteFamily } from "./note.ts";

const CONTRADICTIONS: readonly (readonly [options: NoteOptions, message: string])[] = [
  [{ name: "no name" }, '"no name" is no name for a family.'],
  [{ version: 1.5 }, "The family notes needs a whole number as its version."],
  [{ ttlMs: 0 }, "The family notes needs a TTL."],
  [{ ttlMs: Number.POSITIVE_INFINITY }, "The family notes needs a TTL."],
  [{ graceMs: Number.POSITIVE_INFINITY }, "The family notes needs a grace that ends."],
  [{ lingerMs: -1 }, "The family notes needs a lingering that ends."],
  [{ hard: true, graceMs: 1 }, "The family notes is hard, so it has no grace."],
  [{ jitter: 1 }, "The family notes needs a jitter from 0 to less than 1."],
  [
    { ttlMs: 1_000, jitter: 0.1, refreshAlongMs: 900 },
    "The family notes needs to be kept for a while before it is loaded anew.",
  ],
];

test.each(CONTRADICTIONS)("a family with %j cannot be had", (options, message) => {
  expect(() => noteFamily(options)).toThrow(new TypeError(message));
});

test("a family may be had with the most that goes together", () => {
  const options = { ttlMs: 1_000, jitter: 0.1, refreshAlongMs: 899, graceMs: 5, lingerMs: 5 };
  expect(noteFamily(options)).toMatchObject(options);
});
