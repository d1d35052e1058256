import { cleanLine } from "../clean-text.ts";
import type { Block } from "./paragraphs.ts";

export interface TextHeading {
  /** Index of the heading's block. */
  readonly block: number;
  readonly title: string;
  /** 1 for parts, 2 for chapters, 3 for bare numbers. */
  readonly level: number;
  /** Equal for the heading of a chapter and its line in a table of contents. */
  readonly key: string;
}

/** Longer lines are sentences. UTF-16 code units. */
const LONGEST_LINE = 110;
const MOST_LINES = 3;
/** Less text than this between two headings: a table of contents, or a part's page. UTF-16 code units. */
const SHORTEST_CHAPTER = 400;
/** So many headings in a row without text are a table of contents. */
const SHORTEST_TOC = 3;

const ONES =
  "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|(?:thir|four|fif|six|seven|eigh|nine)teen";
const TENS = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety";
const ORDINALS = "first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|last";
const NUMBER =
  `(?:[ivxlcdm]+|\\d{1,4}|(?:the )?(?:${ORDINALS})|(?:${TENS})(?:[- ](?:${ONES}))?|${ONES}|hundred|` +
  "premi[eè]re?|unique|\\p{L}+(?:ième|ste|te)|primer[oa]?|segund[oa]|tercer[oa]?|cuart[oa]|quint[oa]|[uú]ltim[oa]|" +
  "prim[oa]|second[oa]|terz[oa]|(?:\\p{Script=Cyrillic}+ )?\\p{Script=Cyrillic}+(?:ая|ый|ой|ий|ья|ое|ье))";

const PARTS =
  "part|book|volume|partie|livre|tome|teil|buch|band|parte|libro|tomo|часть|том|книга|раздел|действие";
const CHAPTERS =
  "chapter|letter|canto|act|scene|stave|sonnet|chapitre|lettre|chant|kapitel|brief|gesang|cap[ií]tulo|carta|canto|capitolo|" +
  "lettera|глава|письмо|песнь|сцена|явление|rozdział|hoofdstuk|kapittel|luku";

const PART = startsWith(`(?:the )?(?:${PARTS})(?!\\p{L})\\s+${NUMBER}`);
const CHAPTER = startsWith(`(?:${CHAPTERS})(?!\\p{L})\\s+${NUMBER}`);
const LEADING = `(?:${ORDINALS}|premi[eè]re?|\\p{L}+ième|\\p{L}+te[rs]?|primera?|segunda?|prima|seconda|\\d{1,3}\\.)`;
const TURNED_PART = startsWith(
  `(?:the )?${LEADING}\\s+(?:part|book|volume|partie|livre|teil|buch|band|parte|libro)`,
);
const TURNED_CHAPTER = startsWith(`(?:the )?${LEADING}\\s+(?:chapter|chapitre|kapitel|cap[ií]tulo|capitolo)`);
/** After the number: nothing, a mark, or a title that begins like one. Case counts here. */
const AFTER_NUMBER = /^(?:\s*[.:,;)\]—–-].*|\s+[\p{Lu}\p{Lo}\p{N}"“«'‘([].*)?$/u;
const CHINESE =
  /^第\s?[一二三四五六七八九十百千零〇两\d０-９]{1,8}\s?([回章节節话話篇]|[部卷编編集])(?:[\s　:：、.．].*|.{0,30})?$/u;
const STANDING_ALONE =
  /^(?:prologue|epilogue|introduction|preface|foreword|conclusion|finale|afterword|postscript|appendix|etymology|extracts|prolog|epilog|vorwort|einleitung|nachwort|préface|avant-propos|épilogue|conclusión|prólogo|epílogo|introducción|introduzione|prefazione|epilogo|пролог|эпилог|предисловие|послесловие|введение|заключение|楔子|序章|序言|尾声|终章|后记)[.:]?$/iu;
const ROMAN =
  /^(?=[IVXLC])(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})\.?$|^C{1,3}(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})\.?$/;
const DIGITS = /^\d{1,3}\.?$/;
const ROMAN_VALUES: ReadonlyMap<string, number> = new Map([
  ["I", 1],
  ["V", 5],
  ["X", 10],
  ["L", 50],
  ["C", 100],
]);
const NUMBERED = [
  { pattern: PART, level: 1 },
  { pattern: TURNED_PART, level: 1 },
  { pattern: CHAPTER, level: 2 },
  { pattern: TURNED_CHAPTER, level: 2 },
];

/** The chapters' headings, without those of a table of contents. Empty when there are fewer than two. */
export function findHeadings(blocks: readonly Block[]): TextHeading[] {
  const found = blocks.flatMap((block, index): TextHeading[] => {
    const heading = readHeading(block);
    return heading === null ? [] : [{ ...heading, block: index }];
  });
  const spelled = found.filter(({ level }) => level < 3);
  const chapters = spelled.filter(({ level }) => level === 2).length;
  const numbered =
    chapters >= 3 ? spelled : [...spelled, ...inSequence(found.filter(({ level }) => level === 3))];
  const ordered = numbered.toSorted((a, b) => a.block - b.block);
  const headings = withoutToc(ordered, blocks);
  return headings.length < 2 ? [] : headings;
}

/** JavaScript's `\b` knows only ASCII letters, so a word's end is said by what may not follow. */
function startsWith(pattern: string): RegExp {
  return new RegExp(`^${pattern}(?![\\p{L}\\p{N}])`, "iu");
}

function readHeading(block: Block): Omit<TextHeading, "block"> | null {
  const lines = block.lines.map(cleanLine);
  const first = (lines[0] ?? "").replace(/^[*_=#\s]+|[*_=\s]+$/gu, "");
  if (lines.length > MOST_LINES || lines.some(({ length }) => length > LONGEST_LINE)) {
    return null;
  }
  const sign = readSign(first, lines.length);
  if (sign === null) {
    return null;
  }
  const title = [first, ...lines.slice(1)].reduce((whole, line) =>
    /[\p{L}\p{N}]$/u.test(whole) ? `${whole}. ${line}` : `${whole} ${line}`,
  );
  return { title, level: sign.level, key: sign.key.toLowerCase() };
}

function readSign(line: string, lines: number): Pick<TextHeading, "level" | "key"> | null {
  for (const { pattern, level } of NUMBERED) {
    const key = pattern.exec(line)?.[0];
    if (key !== undefined) {
      return AFTER_NUMBER.test(line.slice(key.length)) ? { level, key } : null;
    }
  }
  const chinese = CHINESE.exec(line);
  if (chinese !== null) {
    return { level: /[部卷编編集]/u.test(chinese[1] ?? "") ? 1 : 2, key: line };
  }
  if (STANDING_ALONE.test(line)) {
    return { level: 2, key: line };
  }
  return lines === 1 && numberIn(line) !== null ? { level: 3, key: line } : null;
}

/** Bare numbers are headings when they count upwards; a part may begin again with one. */
function inSequence(headings: readonly TextHeading[]): TextHeading[] {
  let last = 0;
  const counted = headings.filter(({ title }) => {
    const value = numberIn(title);
    if (value !== last + 1 && value !== 1) {
      return false;
    }
    last = value;
    return true;
  });
  return counted.length < 2 ? [] : counted;
}

function numberIn(line: string): number | null {
  if (DIGITS.test(line)) {
    return Number.parseInt(line, 10);
  }
  if (!ROMAN.test(line)) {
    return null;
  }
  const values = [...line.replace(".", "")].map((letter) => ROMAN_VALUES.get(letter) ?? 0);
  return values.reduce(
    (sum, value, index) => (value < (values[index + 1] ?? 0) ? sum - value : sum + value),
    0,
  );
}

/**
 * Leaves out the lines of a table of contents: headings in a row with next to no text between them. The last of its lines has
 * whatever precedes the first chapter after it; it is told by being named again later, and not before.
 */
function withoutToc(headings: readonly TextHeading[], blocks: readonly Block[]): TextHeading[] {
  const isShort = headings.map((heading, index) => {
    const next = headings[index + 1];
    return next !== undefined && unitsBetween(blocks, heading.block, next.block) < SHORTEST_CHAPTER;
  });
  const isListed = new Set<number>();
  for (let start = 0; start < headings.length; start += 1) {
    let end = start;
    while (isShort[end] === true) {
      end += 1;
    }
    if (end - start >= SHORTEST_TOC) {
      for (const index of listedIn(headings, start, end)) {
        isListed.add(index);
      }
    }
    start = end;
  }
  return headings.filter((_, index) => !isListed.has(index));
}

/** Indexes of the run's headings, from `start` to `end` included, that come again after it. */
function listedIn(headings: readonly TextHeading[], start: number, end: number): number[] {
  const later = new Set(headings.slice(end).map(({ key }) => key));
  const listed: number[] = [];
  for (let index = start; index < end; index += 1) {
    if (later.has(headings[index]?.key ?? "")) {
      listed.push(index);
    }
  }
  const last = headings[end]?.key ?? "";
  const isNamedBefore = headings.slice(start, end).some(({ key }) => key === last);
  const isNamedAgain = headings.slice(end + 1).some(({ key }) => key === last);
  return isNamedAgain && !isNamedBefore ? [...listed, end] : listed;
}

function unitsBetween(blocks: readonly Block[], from: number, to: number): number {
  let units = 0;
  for (let index = from + 1; index < to; index += 1) {
    units += blocks[index]?.lines.reduce((sum, { length }) => sum + length, 0) ?? 0;
  }
  return units;
}
