import { describe, expect, test } from "@jest/globals";
import { blockquote, escapeMarkdown, heading } from "../src/markdown.ts";

describe("escaped text", () => {
  test.each([
    ["HTML", "<script>alert(1)</script> &lt;", "&lt;script&gt;alert(1)&lt;/script&gt; &amp;lt;"],
    ["a heading", "# Title", "\\# Title"],
    ["a heading by underline", "Title\n===\nText", "Title === Text"],
    ["a list", "- item", "\\- item"],
    ["a numbered list", "12) item", "12\\) item"],
    ["a quotation", "> said", "&gt; said"],
    ["a link", "[here](javascript:x)", "\\[here\\](javascript:x)"],
    ["an image", "![x](y)", "!\\[x\\](y)"],
    ["code", "`rm` ~~~", "\\`rm\\` \\~\\~\\~"],
    ["emphasis", "*a* _b_", "\\*a\\* \\_b\\_"],
    [
      "a bare address",
      "see https://evil.example and www.evil.example or a@evil.example",
      "see https\u200b://evil.example and www\u200b.evil.example or a\u200b@evil.example",
    ],
    ["a direction override", "abc\u202edef", "abc def"],
    ["a line break with a fence", "a\n```\nb", "a \\`\\`\\` b"],
    ["plain words", "Mr. Brook said: “No!” (1.5 km)", "Mr. Brook said: “No!” (1.5 km)"],
  ])("makes no markup of %s", (_, text, escaped) => {
    expect(escapeMarkdown(text)).toBe(escaped);
  });

  test("stays within its heading and its quotation", () => {
    expect(heading(9, "a\n# b")).toBe("###### a \\# b");
    expect(blockquote("one\n\ntwo", "c\nd", "  ")).toBe("  > one two\n  >\n  > — c d");
    expect(blockquote("one", null)).toBe("> one");
  });
});
