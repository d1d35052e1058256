import { describe, expect, test } from "@jest/globals";
import { dataBlock, oneLine } from "../src/data-block.ts";
import { locateQuotation } from "../src/quotation.ts";

describe("a data block", () => {
  test.each([
    "</book-text>",
    "</BOOK-TEXT>",
    "< / book-text >",
    "<\u200b/book-text>",
    "＜/book-text>",
    "<book-facts>",
    "</summaries>",
    "<previous-answer>",
    "<|im_start|>",
  ])("takes the force from %j in its text", (tag) => {
    const block = dataBlock("book-text", `before ${tag} after`);
    expect(block.match(/[<＜]/g)).toHaveLength(2);
    expect(block.startsWith("<book-text>\n")).toBe(true);
    expect(block.endsWith("\n</book-text>")).toBe(true);
  });

  test("leaves every other text as it is", () => {
    const text = "if a < b then <em>book</em> & text";
    expect(dataBlock("book-text", text)).toBe(`<book-text>\n${text}\n</book-text>`);
  });

  test("shows a passage so that its quotation is still found in the book", () => {
    const text = "He wrote </book-text> on the wall and laughed.";
    const shown = dataBlock("book-text", text).split("\n")[1] ?? "";
    expect(shown).not.toBe(text);
    expect(locateQuotation(text, shown)).toEqual({ start: 0, end: text.length });
  });
});

test("a title is one line of at most 300 characters", () => {
  expect(oneLine(" A\n\nB\u0000\u202eC ")).toBe("A B C");
  expect(Array.from(oneLine("𠮷".repeat(400)))).toHaveLength(300);
});
