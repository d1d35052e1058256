import { describe, expect, test } from "@jest/globals";
import { cutText } from "../src/cut-text.ts";
import { createSentenceFinder } from "../src/sentences.ts";
import { prose } from "./scripted-ask.ts";
import { pick, seededRandom } from "./seeded-random.ts";

function slices(text: string, limit: number, language: string | null = "en"): string[] {
  return cutText(text, limit, language).map(({ start, end }) => text.slice(start, end));
}

describe("cutting a text", () => {
  test("leaves a short text whole and makes nothing of an empty one", () => {
    expect(slices("One.\n\nTwo.", 100)).toEqual(["One.\n\nTwo."]);
    expect(slices(" \n\n ", 100)).toEqual([]);
  });

  test("cuts between paragraphs only, while each of them fits", () => {
    const paragraphs = Array.from({ length: 20 }, (_, index) => prose(2, index * 10));
    const parts = slices(paragraphs.join("\n\n"), 600);
    expect(parts.length).toBeGreaterThan(3);
    expect(parts.flatMap((part) => part.split("\n\n"))).toEqual(paragraphs);
  });

  test("cuts one huge paragraph at sentence ends, and not after an abbreviation", () => {
    const text = Array.from(
      { length: 40 },
      (_, index) => `At ${index} Mr. Brook met Dr. J. R. Hale again.`,
    ).join(" ");
    const parts = slices(text, 200);
    expect(parts.length).toBeGreaterThan(5);
    expect(parts.filter((part) => !/^At .* again\.$/s.test(part))).toEqual([]);
    expect(parts.join(" ")).toBe(text);
  });

  test("cuts a sentence without end at spaces, and a word without end between characters", () => {
    expect(slices("word ".repeat(100).trim(), 52).every((part) => /^(word ?)+$/.test(part))).toBe(true);
    const parts = slices("𠮷".repeat(101), 51);
    expect(parts.join("")).toBe("𠮷".repeat(101));
    expect(parts.every((part) => part.isWellFormed())).toBe(true);
  });

  test("loses no word and keeps to the limit, whatever the text", () => {
    const random = seededRandom(3);
    for (let round = 0; round < 200; round += 1) {
      const separators = [" ", " ", " ", ". ", "\n", "\n\n", "。", ""];
      const text = Array.from(
        { length: 150 },
        () => pick(["ab", "river", "夜", "𠮷", "Mr.", "x".repeat(70)], random) + pick(separators, random),
      ).join("");
      const limit = 30 + Math.floor(random() * 200);
      const parts = cutText(text, limit, pick(["en", "zh", null, "no such language"], random));
      expect(parts.every(({ start, end }) => end - start <= limit && end > start)).toBe(true);
      expect(
        parts
          .map(({ start, end }) => text.slice(start, end))
          .join("")
          .replace(/\s/g, ""),
      ).toBe(text.replace(/\s/g, ""));
    }
  });

  test("makes parts of about equal size", () => {
    const text = Array.from({ length: 60 }, (_, index) => prose(2, index * 10)).join("\n\n");
    const lengths = slices(text, 6_000).map(({ length }) => length);
    expect(Math.min(...lengths)).toBeGreaterThan(Math.max(...lengths) * 0.7);
  });
});

describe("sentences", () => {
  test("are found across hard line ends", () => {
    const text = "The ferry\nleft at dawn. Nobody\ncame.";
    const spans = createSentenceFinder("en")(text, { start: 0, end: text.length });
    expect(spans.map(({ start, end }) => text.slice(start, end))).toEqual([
      "The ferry\nleft at dawn.",
      "Nobody\ncame.",
    ]);
  });

  test("go on after a question in direct speech", () => {
    const text = "“Where to?” said Ada. “Home!” she cried. Nobody answered.";
    const spans = createSentenceFinder("en")(text, { start: 0, end: text.length });
    expect(spans.map(({ start, end }) => text.slice(start, end))).toEqual([
      "“Where to?” said Ada.",
      "“Home!” she cried.",
      "Nobody answered.",
    ]);
  });

  test("are found in Chinese, German and in a language nobody knows", () => {
    const read = (text: string, language: string) =>
      createSentenceFinder(language)(text, { start: 0, end: text.length }).map(({ start, end }) =>
        text.slice(start, end),
      );
    expect(read("他走了。她没有说话。", "zh")).toEqual(["他走了。", "她没有说话。"]);
    expect(read("Er kam z.B. am Montag. Sie ging.", "de")).toEqual(["Er kam z.B. am Montag.", "Sie ging."]);
    expect(read("One here. Two here.", "x-!!")).toEqual(["One here.", "Two here."]);
  });
});
