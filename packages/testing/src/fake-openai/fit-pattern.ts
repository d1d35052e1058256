/**
 * A text that matches a regular expression of the plain kind that schemas use: literals, classes, escapes, groups, alternatives
 * (the first is taken) and counts (the least, but at least one). Throws when the text does not match after all.
 */
export function matchingText(pattern: string): string {
  const { text } = readAlternatives(pattern, 0);
  if (!new RegExp(pattern, "u").test(text)) throw new Error(`No text is known for the pattern ${pattern}.`);
  return text;
}

interface Piece {
  readonly text: string;
  /** Where the rest of the pattern starts. */
  readonly next: number;
}

const ESCAPES: Readonly<Record<string, string>> = {
  d: "1",
  w: "a",
  s: " ",
  D: "a",
  W: "-",
  S: "a",
  b: "",
  B: "",
};

function readAlternatives(pattern: string, start: number): Piece {
  let chosen: string | null = null;
  let text = "";
  let at = start;
  while (at < pattern.length && pattern[at] !== ")") {
    if (pattern[at] === "|") {
      chosen ??= text;
      text = "";
      at += 1;
      continue;
    }
    const atom = readAtom(pattern, at);
    const { times, next } = readCount(pattern, atom.next);
    text += atom.text.repeat(times);
    at = next;
  }
  return { text: chosen ?? text, next: at + 1 };
}

function readAtom(pattern: string, at: number): Piece {
  const letter = pattern.charAt(at);
  switch (letter) {
    case "^":
    case "$":
      return { text: "", next: at + 1 };
    case ".":
      return { text: "a", next: at + 1 };
    case "(":
      return readAlternatives(
        pattern,
        at + (pattern.slice(at).match(/^\((?:\?:|\?<\w+>)?/)?.[0].length ?? 1),
      );
    case "[":
      return readClass(pattern, at);
    case "\\": {
      const property = pattern.slice(at).match(/^\\p\{[^}]*\}/);
      if (property) return { text: /Lu/.test(property[0]) ? "A" : "a", next: at + property[0].length };
      const escaped = pattern.charAt(at + 1);
      return { text: ESCAPES[escaped] ?? escaped, next: at + 2 };
    }
    default:
      return { text: letter, next: at + 1 };
  }
}

function readClass(pattern: string, at: number): Piece {
  const source = pattern.slice(at).match(/^\[(?:\\.|[^\]\\])*\]/)?.[0] ?? "[";
  const one = new RegExp(`^${source}$`, "u");
  const candidates = "a1A0- _.,:;/#+z9Zé";
  return {
    text: [...candidates].find((letter) => one.test(letter)) ?? "a",
    next: at + source.length,
  };
}

function readCount(pattern: string, at: number): { readonly times: number; readonly next: number } {
  const count = pattern.slice(at).match(/^(?:[*+?]|\{(\d+)(?:,\d*)?\})\??/);
  if (!count) return { times: 1, next: at };
  return { times: Math.max(1, Number(count[1] ?? 1)), next: at + count[0].length };
}
