import { createHash } from "node:crypto";
import { expect, test } from "@jest/globals";
import { TextDigests } from "../../src/request/text-digest.ts";

function counting(mostUnits?: number) {
  const made: string[] = [];
  const digest = (text: string) => {
    made.push(text);
    return `digest of ${text.length} units, ${text.slice(0, 10)}`;
  };
  return { made, texts: new TextDigests(mostUnits === undefined ? { digest } : { digest, mostUnits }) };
}

/** A string of its own, not another name of the same one. */
function copyOf(text: string): string {
  return Buffer.from(text).toString();
}

const chapter = "The lamp had burned for ninety years. ".repeat(14_000);

test("a digest is the SHA-256 of the text in UTF-8", () => {
  const texts = new TextDigests();
  for (const text of ["", "a", "lamp 🗼 маяк", chapter]) {
    expect(texts.of(text)).toBe(createHash("sha256").update(text, "utf8").digest("base64url"));
    expect(texts.of(copyOf(text))).toBe(texts.of(text));
  }
});

test("a chapter of 512 kB is hashed once, whoever holds which copy of it", () => {
  const { made, texts } = counting();
  const first = texts.of(chapter);
  for (let time = 0; time < 20; time += 1) expect(texts.of(copyOf(chapter))).toBe(first);
  expect(made).toHaveLength(1);
});

test("texts of one length that are alike but for one letter keep their own digests", () => {
  const texts = new TextDigests();
  const digests = new Set<string>();
  for (let place = 0; place < 100; place += 1) {
    const at = place * 5000;
    digests.add(texts.of(`${chapter.slice(0, at)}#${chapter.slice(at + 1)}`));
  }
  expect(digests.size).toBe(100);
});

test("what was not asked for longest is forgotten first", () => {
  const { made, texts } = counting(60_000);
  const [one, two, three, four] = ["1", "2", "3", "4"].map((letter) => letter.repeat(20_000)) as [
    string,
    string,
    string,
    string,
  ];
  for (const text of [one, two, three, one, four]) texts.of(text);
  expect(made).toEqual([one, two, three, four]);
  texts.of(one);
  texts.of(three);
  expect(made).toHaveLength(4);
  texts.of(two);
  expect(made).toHaveLength(5);
});

test("a text larger than all that may be remembered forgets nothing else", () => {
  const { made, texts } = counting(30_000);
  const small = "s".repeat(20_000);
  texts.of(small);
  texts.of("l".repeat(40_000));
  texts.of(small);
  expect(made).toHaveLength(2);
});
