import { cleanLine } from "../clean-text.ts";

/** What is left of a Project Gutenberg file without its header and licence, and what the header says. */
export interface GutenbergText {
  readonly text: string;
  readonly title: string | null;
  readonly authors: readonly string[];
  /** BCP 47. */
  readonly language: string | null;
}

/** Headers are up to 11,000 units long, so a start line further into a long file is none. */
const LONGEST_HEADER = 30_000;

/** In the order of their generations; the last one in a file counts. */
const START_LINES = [
  /^[ \t]*\*\*\* ?START OF (?:THIS|THE) PROJECT GUTENBERG[^\n]*(?:\n[^\n]+)*?\*\*\*[ \t]*$/gim,
  /^[ \t]*\*?END\*? ?THE SMALL PRINT![^\n]*$/gim,
];
const END_LINES = [
  /^[ \t]*\*\*\* ?END OF (?:THIS|THE) PROJECT GUTENBERG/gim,
  /^[ \t]*\**[ \t]*End of (?:the |this )?Project Gutenberg/gim,
];
/** Who made the file, between the start line and the book. */
const CREDITS =
  /^\s*(?:(?:e-?text |this e(?:text|book) was )?(?:produced|prepared|transcribed|scanned|typed|digitized)(?: and \w+)? (?:by|for)|\[?html version|note: (?:project gutenberg|images of)|updated edition)/i;

const LANGUAGES: ReadonlyMap<string, string> = new Map([
  ["english", "en"],
  ["french", "fr"],
  ["german", "de"],
  ["spanish", "es"],
  ["italian", "it"],
  ["portuguese", "pt"],
  ["dutch", "nl"],
  ["russian", "ru"],
  ["chinese", "zh"],
  ["japanese", "ja"],
  ["finnish", "fi"],
  ["swedish", "sv"],
  ["danish", "da"],
  ["norwegian", "no"],
  ["polish", "pl"],
  ["greek", "el"],
  ["latin", "la"],
  ["hungarian", "hu"],
  ["esperanto", "eo"],
]);

/** Cuts what Project Gutenberg adds around a text. A text from elsewhere comes back whole. */
export function cutGutenberg(text: string): GutenbergText {
  if (!/project\s+gutenberg/i.test(text.slice(0, LONGEST_HEADER))) {
    return { text, title: null, authors: [], language: null };
  }
  const start = findStart(text);
  const end = findEnd(text, start);
  const header = text.slice(0, start === 0 ? 3_000 : start);
  const first = describeFirstLine(header);
  const author = field(header, "Author") ?? first?.author ?? null;
  const language = field(header, "Language")?.toLowerCase() ?? "";
  return {
    text: withoutCredits(text.slice(start, end)),
    title: field(header, "Title") ?? first?.title ?? null,
    authors: author === null ? [] : [author],
    language: LANGUAGES.get(language) ?? null,
  };
}

function findStart(text: string): number {
  const head = text.slice(0, Math.max(LONGEST_HEADER, text.length * 0.1));
  const ends = START_LINES.flatMap((line) =>
    [...head.matchAll(line)].map((match) => match.index + match[0].length),
  );
  return ends.reduce((last, end) => Math.max(last, end), 0);
}

function findEnd(text: string, start: number): number {
  const middle = start + (text.length - start) / 2;
  const found = END_LINES.flatMap((line) => [...text.matchAll(line)].map(({ index }) => index));
  return found
    .filter((index) => index >= middle)
    .reduce((first, index) => Math.min(first, index), text.length);
}

/** A field of the header, with the lines that continue it. */
function field(header: string, name: string): string | null {
  const value = new RegExp(`^${name}: *([^\\n]+(?:\\n[ \\t]+\\S[^\\n]*)*)`, "im").exec(header)?.[1];
  return value === undefined ? null : cleanLine(value) || null;
}

/** "The Project Gutenberg Etext of Frankenstein by Mary Shelley" is all that old files say. */
function describeFirstLine(header: string): { title: string; author: string } | null {
  const line = /project gutenberg(?:['’]s)? e-?(?:text|book) of ([^\n*]+?),?\s+by ([^\n*]+)/i.exec(header);
  const title = cleanLine(line?.[1] ?? "");
  const author = cleanLine(line?.[2] ?? "");
  return title === "" || author === "" ? null : { title, author };
}

function withoutCredits(text: string): string {
  let rest = text.trimStart();
  while (CREDITS.test(rest)) {
    const end = rest.search(/\n[ \t]*\n/);
    rest = end < 0 ? "" : rest.slice(end).trimStart();
  }
  return rest === "" ? "" : text.slice(text.length - rest.length);
}
