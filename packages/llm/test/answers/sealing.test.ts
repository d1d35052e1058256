import { randomBytes } from "node:crypto";
import { describe, expect, test } from "@jest/globals";
import { createSealer, isEncryptionKey } from "../../src/answers/sealing.ts";

const [KEY, OTHER] = [randomBytes(32).toString("base64"), randomBytes(32).toString("hex")];
const TEXT = 'Castorp said: "seven years" ☃ 𝔐';
const PLACE = "row 1";

const plain = createSealer([]);
const sealer = createSealer([KEY]);

/** Every text that differs from a text in one character. */
function* tampered(text: string): Generator<string> {
  for (let at = 0; at < text.length; at++) {
    const other = text[at] === "A" ? "B" : "A";
    yield text.slice(0, at) + other + text.slice(at + 1);
  }
}

describe("a sealed text", () => {
  test.each([TEXT, "", "x".repeat(1_000_000), "mythic-sealed.1.", "mythic-sealed.1..x"])(
    "comes back as it was, and can be read nowhere in what is stored",
    (text) => {
      const stored = sealer.seal(text, PLACE);
      expect(sealer.open(stored, PLACE) === text).toBe(true);
      expect(stored.startsWith("mythic-sealed.1.")).toBe(true);
      expect(text.length > 20 && stored.includes(text.slice(0, 20))).toBe(false);
      expect(Buffer.from(stored.split(".").at(-1) ?? "", "base64url").includes("Castorp")).toBe(false);
    },
  );

  test("looks different each time", () => {
    const all = Array.from({ length: 100 }, () => sealer.seal(TEXT, PLACE));
    expect(new Set(all).size).toBe(100);
  });

  test("does not open in another place", () => {
    const stored = sealer.seal(TEXT, PLACE);
    expect(sealer.open(stored, "row 2")).toBeNull();
    expect(sealer.open(stored, "")).toBeNull();
  });

  test("does not open with a character changed, cut off or added anywhere", () => {
    const stored = sealer.seal(TEXT, PLACE);
    const head = stored.lastIndexOf(".") + 1;
    for (const changed of tampered(stored.slice(head))) {
      expect(sealer.open(stored.slice(0, head) + changed, PLACE)).toBeNull();
    }
    for (let length = "mythic-sealed.1.".length; length < stored.length; length++) {
      expect(sealer.open(stored.slice(0, length), PLACE)).toBeNull();
    }
    for (const more of ["A", "=", " ", "\0", ".x"]) expect(sealer.open(stored + more, PLACE)).toBeNull();
  });

  test("does not open when its key is said to be another one", () => {
    const [one, two] = [createSealer([KEY, OTHER]), createSealer([OTHER, KEY])];
    const [head = "", body = ""] = [two.seal("", PLACE), one.seal(TEXT, PLACE)].map((stored, at) =>
      at === 0 ? stored.slice(0, stored.lastIndexOf(".")) : stored.slice(stored.lastIndexOf(".")),
    );
    expect(one.open(head + body, PLACE)).toBeNull();
  });

  test("does not open without its key", () => {
    const stored = sealer.seal(TEXT, PLACE);
    expect(createSealer([OTHER]).open(stored, PLACE)).toBeNull();
    expect(plain.open(stored, PLACE)).toBeNull();
  });
});

describe("a change of keys", () => {
  test("the first key seals and both open; when the old one is gone, what it sealed is not there", () => {
    const old = sealer.seal(TEXT, PLACE);
    const both = createSealer([OTHER, KEY]);
    const renewed = both.seal(TEXT, PLACE);
    expect([both.open(old, PLACE), both.open(renewed, PLACE)]).toEqual([TEXT, TEXT]);
    const after = createSealer([OTHER]);
    expect([after.open(old, PLACE), after.open(renewed, PLACE)]).toEqual([null, TEXT]);
  });

  test("a key has the same id in every process, however it is written", () => {
    const bytes = randomBytes(32);
    const written = [bytes.toString("base64"), bytes.toString("base64url"), bytes.toString("hex")];
    for (const text of written) {
      expect(createSealer([text]).open(createSealer([bytes.toString("hex")]).seal(TEXT, PLACE), PLACE)).toBe(
        TEXT,
      );
    }
  });

  test("a text from before there was a key stays readable", () => {
    expect(sealer.open(plain.seal(TEXT, PLACE), PLACE)).toBe(TEXT);
    expect(sealer.open("", PLACE)).toBe("");
  });
});

describe("without a key", () => {
  test("a text is kept as it is", () => {
    expect(plain.seal(TEXT, PLACE)).toBe(TEXT);
  });

  test.each(["mythic-sealed.1.", "mythic-sealed.1..x", "mythic-sealed.1.abc.def"])(
    "a text that looks sealed comes back all the same: %s",
    (text) => {
      expect(plain.open(plain.seal(text, PLACE), PLACE)).toBe(text);
      expect(sealer.open(plain.seal(text, PLACE), PLACE)).toBe(text);
      expect(plain.open(plain.seal(plain.seal(text, PLACE), PLACE), PLACE)).toBe(plain.seal(text, PLACE));
    },
  );
});

describe("a key", () => {
  test("is 32 bytes in base64 or hexadecimal", () => {
    const bytes = randomBytes(32);
    for (const text of [
      bytes.toString("hex"),
      bytes.toString("hex").toUpperCase(),
      bytes.toString("base64"),
      bytes.toString("base64url"),
    ]) {
      expect(isEncryptionKey(text)).toBe(true);
    }
  });

  test.each([
    "",
    "password",
    "x".repeat(32),
    randomBytes(31).toString("hex"),
    randomBytes(33).toString("base64"),
    randomBytes(16).toString("base64"),
    `${randomBytes(32).toString("base64")}\n`,
    `${"g".repeat(63)}!`,
  ])("is refused else, and not shown", (text) => {
    expect(isEncryptionKey(text)).toBe(false);
    expect(() => createSealer([text])).toThrow(RangeError);
    if (text.length > 8) expect(() => createSealer([text])).not.toThrow(text);
  });
});
