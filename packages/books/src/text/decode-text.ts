import { detect } from "jschardet";
import { BookError } from "../book-error.ts";
import type { BookWarningCode } from "../parsed-file.ts";

/** Bytes on which an encoding is guessed; detectors name it reliably from far less. */
const SAMPLE_BYTES = 60_000;
/** Shares of the text above which it is not text in this encoding. */
const MOST_REPLACED = 0.01;
const MOST_CONTROL_CHARACTERS = 0.02;

/** Names that detectors use and the decoder does not know. */
const ALIASES: ReadonlyMap<string, string> = new Map([
  ["cp932", "shift_jis"],
  ["cp949", "euc-kr"],
  ["cp866", "ibm866"],
  ["cp1251", "windows-1251"],
  ["cp1252", "windows-1252"],
  ["utf-16-le", "utf-16le"],
  ["utf-16-be", "utf-16be"],
  ["maccyrillic", "x-mac-cyrillic"],
  ["mac-cyrillic", "x-mac-cyrillic"],
  ["macroman", "macintosh"],
  ["mac-roman", "macintosh"],
  ["hz-gb-2312", "gb18030"],
  ["gb2312", "gb18030"],
]);

/** Decodes a text file: by its byte order mark, as UTF-16 or UTF-8 where it is that, else as what its letters make likely. */
export function decodeText(bytes: Buffer, warnings: Set<BookWarningCode>): string {
  const sure = byMark(bytes) ?? byShape(bytes);
  if (sure !== null) {
    return accept(new TextDecoder(sure).decode(bytes), warnings);
  }
  try {
    return accept(new TextDecoder("utf-8", { fatal: true }).decode(bytes), warnings);
  } catch (error) {
    if (error instanceof BookError) {
      throw error;
    }
  }
  const lenient = new TextDecoder("utf-8").decode(bytes);
  if (isMostlyMultibyte(lenient)) {
    return accept(lenient, warnings);
  }
  return accept(createDecoder(guess(bytes)).decode(bytes), warnings);
}

function byMark(bytes: Buffer): string | null {
  const start = bytes.subarray(0, 3).toString("latin1");
  if (start.startsWith("\xff\xfe")) {
    return "utf-16le";
  }
  if (start.startsWith("\xfe\xff")) {
    return "utf-16be";
  }
  return start === "\xef\xbb\xbf" ? "utf-8" : null;
}

/** In UTF-16, spaces and line ends have a zero byte on one side, whatever the script. */
function byShape(bytes: Buffer): string | null {
  const pairs = Math.min(bytes.length, SAMPLE_BYTES) >> 1;
  let little = 0;
  let big = 0;
  for (let index = 0; index < pairs; index += 1) {
    const first = bytes[2 * index];
    const second = bytes[2 * index + 1];
    little += second === 0 && (first === 0x20 || first === 0x0a) ? 1 : 0;
    big += first === 0 && (second === 0x20 || second === 0x0a) ? 1 : 0;
  }
  if (Math.max(little, big) < Math.max(1, pairs / 200)) {
    return null;
  }
  return little > big ? "utf-16le" : "utf-16be";
}

/** True for UTF-8 with a few broken places: real sequences outnumber them by far. */
function isMostlyMultibyte(text: string): boolean {
  const replaced = countUnits(text, isReplacement);
  const whole = countUnits(text, (unit) => unit >= 0x80) - replaced;
  return whole > replaced * 20;
}

function guess(bytes: Buffer): string {
  const name = detect(bytes.subarray(0, SAMPLE_BYTES)).encoding?.toLowerCase() ?? "windows-1252";
  return ALIASES.get(name) ?? name;
}

function createDecoder(label: string) {
  try {
    return new TextDecoder(label);
  } catch (error) {
    throw undecodable(error);
  }
}

function undecodable(cause?: unknown): BookError {
  return new BookError("undecodable_text", "The bytes fit no text encoding that we know.", { cause });
}

function accept(text: string, warnings: Set<BookWarningCode>): string {
  const replaced = countUnits(text, isReplacement);
  const controls = countUnits(text, isControl);
  if (replaced > text.length * MOST_REPLACED || controls > text.length * MOST_CONTROL_CHARACTERS) {
    throw undecodable();
  }
  if (replaced > 0) {
    warnings.add("replaced_bytes");
  }
  return text;
}

function isReplacement(unit: number): boolean {
  return unit === 0xfffd;
}

/** Not among them: tab, line feed, form feed, carriage return, next line. */
function isControl(unit: number): boolean {
  const isUsual = unit === 0x09 || unit === 0x0a || unit === 0x0c || unit === 0x0d || unit === 0x85;
  return !isUsual && (unit < 0x20 || (unit >= 0x7f && unit < 0xa0));
}

/** A list of matches would be larger than the text. */
function countUnits(text: string, isCounted: (unit: number) => boolean): number {
  let count = 0;
  for (let index = 0; index < text.length; index += 1) {
    count += isCounted(text.charCodeAt(index)) ? 1 : 0;
  }
  return count;
}
