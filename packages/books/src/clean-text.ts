/** Hyphens that show only at a line's end, joiners that only forbid a line's end, byte order marks. */
const LINE_BREAKING_MARKS = /[\u00ad\u2060\ufeff]/g;
const CONTROL_CHARACTERS = /\p{Cc}/gu;

/** More marks on one letter cost the square of their number: https://unicode.org/reports/tr15/#Stream_Safe_Text_Format */
const STACKED_MARKS = /(\p{M}{30})\p{M}+/gu;

/** Nobody writes longer paragraphs, and cleaning one takes many times its size in memory. UTF-16 code units. */
export const LONGEST_PARAGRAPH = 900_000;

/** One line in NFC: every run of white space is one space, none at the ends; no control characters. */
export function cleanLine(text: string): string {
  const spaced = text.replace(LINE_BREAKING_MARKS, "").replace(/\s+/g, " ");
  return spaced.replace(CONTROL_CHARACTERS, "").replace(STACKED_MARKS, "$1").trim().normalize("NFC");
}

/** Cleans each line. Empty lines apart, and at the ends, are dropped. */
export function cleanLines(text: string): string {
  return text
    .split("\n")
    .map(cleanLine)
    .filter((line) => line !== "")
    .join("\n");
}
