/**
 * Text that others wrote, put between tags so that a model can tell it from its instructions. Tags of that kind and the control
 * tokens of chat templates lose their `<` when they occur in the text itself, so nothing in it can end its block or open another.
 */
export type DataBlockName = "book-facts" | "book-text" | "summaries" | "previous-answer";

const FORGED_TAG =
  /[<\uff1c\ufe64](?=[\s\p{Cf}]*(?:\/[\s\p{Cf}]*)?(?:book-facts|book-text|summaries|previous-answer)|\|)/giu;

/** One block of data. */
export function dataBlock(name: DataBlockName, text: string): string {
  return `<${name}>\n${text.replace(FORGED_TAG, "\u2039")}\n</${name}>`;
}

/** A title or a name on one line, of at most 300 characters. */
export function oneLine(text: string): string {
  return Array.from(text.replace(/[\s\p{Cc}\p{Cf}]+/gu, " ").trim())
    .slice(0, 300)
    .join("");
}
