import type { Element } from "./walk-markup.ts";

/** How an element shapes the text. */
export type ElementRule =
  | "block"
  | "heading"
  | "line"
  | "row"
  | "cell"
  | "raised"
  | "link"
  | "inline"
  | "skip";

const BLOCKS =
  "address article aside blockquote body caption center dd details div dl dt fieldset figcaption figure footer form header " +
  "hgroup hr html legend li main menu nav ol p pre section summary table tbody tfoot thead ul " +
  "text level level1 level2 level3 level4 level5 level6 doctitle docauthor";
/** Not part of the book's words: code, settings, readings beside characters, replacements for what cannot be shown. */
const SKIPPED =
  "script style head title template noscript audio video canvas object iframe select textarea button rt rp rtc desc " +
  "metadata defs annotation annotation-xml case pagenum";

const RULES: ReadonlyMap<string, ElementRule> = new Map<string, ElementRule>([
  ...BLOCKS.split(" ").map((name): [string, ElementRule] => [name, "block"]),
  ...SKIPPED.split(" ").map((name): [string, ElementRule] => [name, "skip"]),
  ...["h1", "h2", "h3", "h4", "h5", "h6"].map((name): [string, ElementRule] => [name, "heading"]),
  ["br", "line"],
  ["tr", "row"],
  ["td", "cell"],
  ["th", "cell"],
  ["sup", "raised"],
  ["a", "link"],
]);

const SKIPPED_TYPES = new Set(["backlink", "referrer", "pagebreak"]);
const NOTES = new Set(["footnote", "endnote", "rearnote"]);
const NOTE_LISTS = new Set(["footnotes", "endnotes", "rearnotes"]);

export function elementRule(element: Element): ElementRule {
  const isHidden = element.attribute("hidden") !== null;
  if (isHidden || element.types.some((type) => SKIPPED_TYPES.has(type))) {
    return "skip";
  }
  return RULES.get(element.name) ?? "inline";
}

/** True for a footnote or an endnote. In a list of notes, each item is one. */
export function isNote(element: Element, isInNoteList: boolean): boolean {
  return element.types.some((type) => NOTES.has(type)) || (isInNoteList && element.name === "li");
}

export function isNoteList(element: Element): boolean {
  return element.types.some((type) => NOTE_LISTS.has(type));
}

/** True for the sign in the text that leads to a note. */
export function isNoteMark(element: Element): boolean {
  return element.types.includes("noteref");
}

/** True for links that books without semantics use as such signs. */
export function looksLikeNoteMark(element: Element): boolean {
  return /noteref|footnote|endnote|fnanchor|fnref/i.test(element.attribute("class") ?? "");
}
