import { cleanLine, cleanLines, LONGEST_PARAGRAPH } from "../clean-text.ts";
import { cutParagraph } from "../number-chapters.ts";

/** A paragraph of a text file as its lines stand there. */
export interface Block {
  /** Without line ends, with their indentation. */
  readonly lines: readonly string[];
}

/** Lines this long are whole paragraphs: nobody wraps text so wide. UTF-16 code units. */
const WIDEST_WRAP = 130;
/** Lines shorter than this share of the usual width were ended on purpose. */
const SHORT_LINE = 0.75;
const UNSPACED = /[\p{scx=Han}\p{scx=Hiragana}\p{scx=Katakana}]/u;

/**
 * Divides a text into paragraphs: at empty lines; at every line where lines hold whole paragraphs; at indented lines where
 * that is how the text marks its paragraphs.
 */
export function findBlocks(text: string): Block[] {
  const lines = text
    .split("\n")
    .flatMap((line) => (line.length > LONGEST_PARAGRAPH ? cutParagraph(line, LONGEST_PARAGRAPH) : [line]))
    .map((line) => line.replaceAll("\t", "    ").trimEnd());
  const isStart = chooseLayout(lines);
  const blocks: { lines: string[] }[] = [];
  let isOpen = false;
  for (const line of lines) {
    if (line === "") {
      isOpen = false;
    } else if (!isOpen || isStart(line)) {
      blocks.push({ lines: [line] });
      isOpen = true;
    } else {
      blocks.at(-1)?.lines.push(line);
    }
  }
  return blocks;
}

/** The width at which the text is wrapped, in UTF-16 code units: nine of ten lines are not longer. */
export function usualWidth(blocks: readonly Block[]): number {
  const widths = blocks.flatMap(({ lines }) => lines.slice(0, -1).map((line) => line.trim().length));
  const sorted = widths.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length * 0.9)] ?? 0;
}

/** One paragraph: prose with its lines joined; verse, tables and addresses line by line. */
export function joinLines({ lines }: Block, width: number): string {
  const isIndented = lines.length > 1 && lines.every((line) => line.startsWith("  "));
  const longest = lines.slice(0, -1).reduce((most, line) => Math.max(most, line.trim().length), 0);
  const isShort = lines.length > 1 && longest < width * SHORT_LINE;
  if (isIndented || isShort) {
    return cleanLines(lines.join("\n"));
  }
  return cleanLine(lines.reduce((whole, line) => whole + gapBetween(whole, line) + line, ""));
}

function gapBetween(before: string, after: string): string {
  const isUnspaced = UNSPACED.test(before.slice(-1)) && UNSPACED.test(after.trimStart().slice(0, 1));
  return isUnspaced ? "" : " ";
}

function chooseLayout(lines: readonly string[]): (line: string) => boolean {
  const filled = lines.filter((line) => line !== "");
  const long = filled.filter((line) => line.length > WIDEST_WRAP).length;
  if (long > filled.length * 0.1) {
    return () => true;
  }
  const indented = filled.filter((line) => /^ {2,8}\S/.test(line)).length;
  const empty = lines.length - filled.length;
  const isIndentedProse = indented > filled.length * 0.05 && indented < filled.length * 0.7;
  return isIndentedProse && empty < indented / 2 ? (line) => line.startsWith("  ") : () => false;
}
