/** Characters that CommonMark or GitHub's dialect read as markup anywhere in a line. */
const MARKUP = /[\\`*_[\]#~$]/gu;
const ENTITIES = new Map([
  ["&", "&amp;"],
  ["<", "&lt;"],
  [">", "&gt;"],
]);
/** Control characters, and direction overrides that would make a line read differently from what it holds. */
const INVISIBLE = /[\p{Cc}\u202a-\u202e\u2066-\u2069]+/gu;
/** What GitHub's dialect makes a link of by itself. A zero-width space before the sign keeps it plain text. */
const BARE_LINK = /(?<=https?|ftp|mailto|xmpp):|(?<=www)\.|@/giu;
const BLOCK_START = /^(\d{0,9})([-+=.)])/u;

/**
 * Text of a book or a model as one line of Markdown that shows exactly this text: no HTML, no heading, no list, no link, no
 * emphasis can come out of it.
 */
export function escapeMarkdown(text: string): string {
  return text
    .replace(INVISIBLE, " ")
    .replace(/\s+/gu, " ")
    .trim()
    .replace(/[&<>]/gu, (sign) => ENTITIES.get(sign) ?? sign)
    .replace(MARKUP, "\\$&")
    .replace(BARE_LINK, "\u200b$&")
    .replace(BLOCK_START, "$1\\$2");
}

/** A heading of level 1 to 6; deeper ones stay at 6. */
export function heading(level: number, text: string): string {
  return `${"#".repeat(Math.min(6, Math.max(1, level)))} ${escapeMarkdown(text)}`;
}

/** A quotation and, when given, where it stands; indented to belong to a list item when `indent` says so. */
export function blockquote(quote: string, source: string | null, indent = ""): string {
  const lines = [
    `> ${escapeMarkdown(quote)}`,
    ...(source === null ? [] : [">", `> — ${escapeMarkdown(source)}`]),
  ];
  return lines.map((line) => `${indent}${line}`).join("\n");
}
