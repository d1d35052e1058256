/**
 * Text reduced to what survives retyping: one form per letter, one kind of quotation mark, dash, ellipsis and space.
 * Each unit of `folded` knows the piece of the original that it came from (a character with its combining marks, or a run of
 * spaces, dashes or dots), so that a match can be carried back. Offsets are UTF-16 code units.
 */
export interface FoldedText {
  readonly folded: string;
  /** Per unit of `folded`: where its piece of the original starts. */
  readonly starts: readonly number[];
  /** Per unit of `folded`: where its piece of the original ends. */
  readonly ends: readonly number[];
}

/** Scripts that put no spaces between words. */
export const UNSPACED_SCRIPT =
  /[\p{scx=Han}\p{scx=Hiragana}\p{scx=Katakana}\p{scx=Thai}\p{scx=Lao}\p{scx=Khmer}\p{scx=Myanmar}]/u;

/** The lowest combining mark, and the lowest character of a script without spaces (Thai). */
const FIRST_MARK = 0x300;
const FIRST_UNSPACED = 0xe00;
/** A character with its combining marks. Longer runs of marks are cut, because normalising them costs their square. */
const CHARACTER = /\P{M}\p{M}{0,30}|\p{M}{1,30}/uy;
/** Soft hyphens, zero-width and direction marks, and the marks of emphasis in plain text. */
const IGNORED = /^[\p{Cf}_*]/u;
/** Marks that choose among the shapes of one character, or only hold marks apart. */
const SHAPE_MARKS = /\p{Variation_Selector}|\u034f/gu;
const DASHES = new Set("-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d");
const ELLIPSES = new Set("\u2025\u2026\u22ef");
const DOT_THAT_CONTINUES = /\.\s?[.\u2025\u2026\u22ef]/y;
/** A space on either side of these says nothing: « a », “a”. */
const LOOSE = '"';
/** Nor does one before these, which some languages set apart. */
const CLOSING = "!?:;";

const REPLACED = new Map<string, string>([
  ...[..."\u2018\u2019\u201a\u201b\u2032\u2035`\u00b4\u02b9\u02bb\u02bc\u02bd\u2039\u203a<>\uff1c\uff1e"].map(
    (mark): [string, string] => [mark, "'"],
  ),
  ...[..."\u201c\u201d\u201e\u201f\u2033\u2036\u00ab\u00bb\u301d\u301e\u301f"].map(
    (mark): [string, string] => [mark, '"'],
  ),
  ["\u301c", "~"],
]);

/** Spaces, dashes or dots that are not written yet, because what follows decides what they become. */
interface Gap {
  readonly kind: "space" | "dash" | "ellipsis";
  readonly start: number;
  readonly end: number;
}

const GAP_SIGN = { space: " ", dash: "-", ellipsis: "\u2026" } as const;

/** Folds a text and keeps the way back. Linear in its length. */
export function foldText(text: string): FoldedText {
  const starts: number[] = [];
  const ends: number[] = [];
  const pieces: string[] = [];
  let gap: Gap | null = null;

  const write = (piece: string, start: number, end: number): void => {
    pieces.push(piece);
    for (let unit = 0; unit < piece.length; unit += 1) {
      starts.push(start);
      ends.push(end);
    }
  };
  const closeGap = (next: string): void => {
    if (gap !== null && !(gap.kind === "space" && isIdleSpace(pieces.at(-1), next))) {
      write(GAP_SIGN[gap.kind], gap.start, gap.end);
    }
    gap = null;
  };

  for (let start = 0, end = 0; start < text.length; start = end) {
    if (isPlain(text, start)) {
      // Most of most texts: a letter or digit that stands for itself.
      const letter = text.charAt(start).toLowerCase();
      end = start + 1;
      closeGap(letter);
      write(letter, start, end);
      continue;
    }
    const character = characterAt(text, start);
    end = start + character.length;
    const kind = gapKind(text, character, start, gap);
    if (kind !== null) {
      const next: Gap = { kind, start, end };
      const joined = joinGaps(gap, next);
      if (joined === null) {
        closeGap(GAP_SIGN[kind]);
      }
      gap = joined ?? next;
      continue;
    }
    const piece = IGNORED.test(character) ? "" : foldCharacter(character);
    if (piece !== "") {
      closeGap(piece);
      write(piece, start, end);
    }
  }
  closeGap("");
  return { folded: pieces.join(""), starts, ends };
}

/** True for an ASCII letter or digit without a combining mark. */
function isPlain(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  const alone = !(text.charCodeAt(at + 1) >= FIRST_MARK);
  return (
    alone &&
    ((code >= 0x61 && code <= 0x7a) || (code >= 0x41 && code <= 0x5a) || (code >= 0x30 && code <= 0x39))
  );
}

/** A character with its marks; there is one at every offset that is not past the end. */
function characterAt(text: string, at: number): string {
  CHARACTER.lastIndex = at;
  return CHARACTER.exec(text)?.[0] ?? text.charAt(at);
}

/** What sort of gap a character opens or continues; null when it is none. */
function gapKind(text: string, character: string, start: number, gap: Gap | null): Gap["kind"] | null {
  if (/^\s/u.test(character)) {
    return "space";
  }
  if (DASHES.has(character)) {
    return "dash";
  }
  if (ELLIPSES.has(character)) {
    return "ellipsis";
  }
  if (character !== ".") {
    return null;
  }
  DOT_THAT_CONTINUES.lastIndex = start;
  return gap?.kind === "ellipsis" || DOT_THAT_CONTINUES.test(text) ? "ellipsis" : null;
}

/** Two neighbours as one, or null when a dash meets an ellipsis: those stay two. */
function joinGaps(gap: Gap | null, next: Gap): Gap | null {
  if (gap === null) {
    return next;
  }
  if (next.kind === "space" || gap.kind === "space" || gap.kind === next.kind) {
    return { kind: next.kind === "space" ? gap.kind : next.kind, start: gap.start, end: next.end };
  }
  return null;
}

/** True for spaces that carry no meaning between what is written already and what comes next; at both ends of a text too. */
function isIdleSpace(before: string | undefined, next: string): boolean {
  return (
    before === undefined ||
    next === "" ||
    before === LOOSE ||
    next === LOOSE ||
    CLOSING.includes(next) ||
    isUnspaced(before) ||
    isUnspaced(next)
  );
}

function isUnspaced(piece: string): boolean {
  // None of these scripts is below: most pieces need no expression.
  return piece.charCodeAt(0) >= FIRST_UNSPACED && UNSPACED_SCRIPT.test(piece);
}

/** Compatibility decomposition and case folding: equal exactly when NFKC forms are equal but for case. */
function foldCharacter(character: string): string {
  if (character.length === 1 && character < "\u0080") {
    return REPLACED.get(character) ?? character.toLowerCase();
  }
  const plain = character.replace(SHAPE_MARKS, "");
  return REPLACED.get(plain) ?? plain.normalize("NFKD").toUpperCase().toLowerCase().normalize("NFKD");
}
