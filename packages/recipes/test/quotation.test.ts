import { describe, expect, test } from "@jest/globals";
import { createQuotationIndex, locateQuotation } from "../src/quotation.ts";
import { pick, seededRandom } from "./seeded-random.ts";

const WORDS = (
  "river ferry lantern Émile naïve don’t “wait” ﬁnal oﬃce — … 𝒜lpha 𠮷野 cafe\u0301 Straße mother-in-law so\u00adlemn ½ " +
  "night water stone quietly answered harbour window letter winter garden morning voice shadow candle gate"
).split(" ");

/** What someone who types a passage again may change without changing a word. */
const RETYPINGS: readonly ((text: string) => string)[] = [
  (text) => text.replace(/\s+/g, " "),
  (text) => text.replace(/ /g, "\n"),
  (text) => text.replace(/ /g, "\u00a0"),
  (text) => text.replace(/[“”]/g, '"').replace(/’/g, "'"),
  (text) => text.replace(/—/g, "--"),
  (text) => text.replace(/\s?—\s?/g, "—"),
  (text) => text.replace(/…/g, "..."),
  (text) => text.replace(/…/g, ". . ."),
  (text) => text.replace(/\u00ad/g, ""),
  (text) => text.normalize("NFKC"),
  (text) => text.normalize("NFD"),
  (text) => text.toUpperCase(),
  (text) => ` "${text}" `,
  (text) => `${text}…`,
];

describe("a quotation", () => {
  test("is found at its own offsets however it was retyped", () => {
    const random = seededRandom(7);
    for (let round = 0; round < 400; round += 1) {
      // Numbered words make every passage unique, so its place is certain.
      const words = Array.from({ length: 60 }, (_, index) => `${pick(WORDS, random)} ${index}x`);
      const from = Math.floor(random() * 40);
      const passage = words.slice(from, from + 6 + Math.floor(random() * 10)).join(" ");
      const text = words.join(" ");
      const quote = pick(RETYPINGS, random)(pick(RETYPINGS, random)(passage));
      const found = locateQuotation(text, quote);
      const slice = text.slice(found?.start, found?.end);
      const core = trimEdges(passage);
      expect({ quote, slice: trimEdges(slice) }).toEqual({ quote, slice: core });
      expect((found?.start ?? 0) + slice.indexOf(core)).toBe(text.indexOf(core));
    }
  });

  test("is not found once a word was changed, swapped, left out or added", () => {
    const random = seededRandom(11);
    for (let round = 0; round < 400; round += 1) {
      const words = Array.from(
        { length: 80 },
        (_, index) => `${pick(["stone", "gate", "voice", "river"], random)}${index}`,
      );
      const index = createQuotationIndex(words.join(" "));
      const from = Math.floor(random() * 60);
      const passage = words.slice(from, from + 8);
      const at = 1 + Math.floor(random() * 5);
      const tampered = pick(
        [
          passage.with(at, `un${passage[at]}`),
          passage.with(at, passage[at + 1] ?? "").with(at + 1, passage[at] ?? ""),
          passage.toSpliced(at, 1),
          passage.toSpliced(at, 0, "not"),
          passage.with(at, "…"),
        ],
        random,
      );
      expect(index.locate(passage.join(" "))).not.toBeNull();
      expect({ tampered, found: index.locate(tampered.join(" ")) }).toEqual({ tampered, found: null });
    }
  });

  test.each([
    [
      "astral letters before it",
      "𝒜𝒷𝒸 👩‍👩‍👧 said: the ferry left at dawn, silently.",
      "the ferry left at dawn",
    ],
    ["ligatures that expand", "The oﬃcer’s ﬁnal ﬂight began.", "officer's final flight began"],
    [
      "a soft hyphen inside",
      "It was ex\u00adtra\u00adordinary weather that day.",
      "extraordinary weather that day",
    ],
    ["a line break at a hyphen", "her mother-in-\nlaw stayed at home", "mother-in-law stayed at home"],
    ["French spacing", "« Vous partez ? » demanda-t-elle encore.", "«Vous partez?» demanda-t-elle encore"],
    ["emphasis of plain text", "I was _so_ very *tired* of it all.", "so very tired of it all"],
    [
      "composed Hangul",
      "그는 강가에서 오래 기다렸다고 말했다.",
      "강가에서 오래 기다렸다고 말했다".normalize("NFD"),
    ],
    ["a Turkish capital", "İstanbul was far away from here.", "i̇stanbul was far away"],
    [
      "full-width forms",
      "彼は「Ｍｙｔｈｉｃ」という船に乗って行った。",
      "彼は「Mythic」という船に乗って行った",
    ],
    ["Chinese broken over lines", "我们今天\n去了河边的学校，然后回家。", "我们今天去了河边的学校"],
  ])("is found with %s", (_, text, quote) => {
    const found = locateQuotation(text, quote);
    expect(found).not.toBeNull();
    const slice = text.slice(found?.start, found?.end);
    expect(locateQuotation(slice, quote)).toEqual({ start: 0, end: slice.length });
  });

  test.each([
    [
      "turns the meaning by cutting a prefix",
      "It is impossible to say that he lied.",
      "possible to say that he lied",
    ],
    ["turns the meaning by cutting an n't", "I think that I can't do this.", "I think that I can"],
    ["ends within a word", "She opened the heavy wooden doorway.", "opened the heavy wooden door"],
    ["takes a letter from its accent", "they met at the big café today", "they met at the big cafe"],
    [
      "joins two places by an ellipsis",
      "The ferry left early. It rained. Nobody came.",
      "The ferry left … Nobody came",
    ],
  ])("is refused when it %s", (_, text, quote) => {
    expect(createQuotationIndex(text).examine(quote)).toEqual({ kind: "absent" });
  });

  test.each(["left early", "a b c d e", "", "  … ", "Nobody."])("of too little is refused: %j", (quote) => {
    const text = "The ferry left early. Nobody. a b c d e";
    expect(createQuotationIndex(text).examine(quote)).toEqual({ kind: "too_short" });
  });

  test("of a few words that occur twice is refused, of many words gets the first place", () => {
    const text = "I do not know, she said. I do not know, she said.";
    const index = createQuotationIndex(text);
    expect(index.examine("I do not know")).toEqual({ kind: "repeated" });
    expect(index.examine("I do not know, she said")).toEqual({ kind: "located", start: 0, end: 23 });
  });

  test("spans paragraphs and leaves the space around it out", () => {
    const text = "He stopped.\n\n— Come in, she said.\n\n— No.";
    const found = locateQuotation(text, "- Come in, she said.");
    expect(text.slice(found?.start, found?.end)).toBe("— Come in, she said.");
    const across = locateQuotation(text, "He stopped. — Come in");
    expect(text.slice(across?.start, across?.end)).toBe("He stopped.\n\n— Come in");
  });
});

describe("an index", () => {
  test.each([
    ["spaces", " ".repeat(300_000)],
    ["combining marks", `a${"\u0301".repeat(300_000)}`],
    ["dots and spaces", ". ".repeat(150_000)],
    ["dashes and dots", "-.".repeat(150_000)],
    ["one letter", "a".repeat(300_000)],
  ])("of nothing but %s does not stall", (_, text) => {
    const started = performance.now();
    createQuotationIndex(text).examine("nothing of this is in there at all");
    // Quadratic work would take minutes; the bound is generous for slow machines.
    expect(performance.now() - started).toBeLessThan(3_000);
  });
});

/** Passages may begin or end with signs that retyping at the edges drops. */
function trimEdges(passage: string): string {
  return passage.replace(/^[—… “”]+|[—… “”]+$/g, "");
}
