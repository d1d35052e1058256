import { createHash } from "node:crypto";

/** What a deterministic answer draws on: equal prompts give equal draws, different ones different draws. */
export interface SourceText {
  /** A number below `bound`, drawn for a place in the answer. */
  draw(place: string, bound: number): number;
  /** The next whole sentence of the user's message, verbatim; all of them come once before any comes again. */
  nextQuotation(): string;
  /**
   * The next ids of statements in the prompt, in its order: `2.3` of a line that starts with `2.3 ` or of `[2.3]` anywhere. Fewer,
   * or none, where the prompt has fewer.
   */
  nextIds(count: number): string[];
  /** How many groups the ids fall into by their first number: 2 for `1.1`, `1.2` and `2.1`. */
  readonly idGroups: number;
  /** A plain statement with two words of the message. */
  sentence(place: string): string;
  /** Two words of the message, as a title. */
  label(place: string): string;
}

const OPENINGS = [
  "This part tells of",
  "Here we learn about",
  "The passage turns on",
  "Much depends on",
  "It comes back to",
  "The author lingers on",
];

export function readSourceText(userMessage: string, digest: string, wrongQuotations: boolean): SourceText {
  const text = largestBlock(userMessage);
  const sentences = quotableSentences(text);
  const ids = statementIds(userMessage);
  const words = longWords(text);
  const draw = (place: string, bound: number) =>
    createHash("sha256").update(`${digest} ${place}`).digest().readUInt32BE(0) % bound;
  const nextSentence = inTurn(sentences, draw("sentences", Math.max(1, sentences.length)));
  const spread = spreadOverGroups(ids);
  let idsTaken = 0;
  const word = (place: string) => words[draw(place, Math.max(1, words.length))] ?? "nothing";

  return {
    draw,
    nextQuotation() {
      const quotation = nextSentence() ?? text.trim().slice(0, 80).trim();
      return wrongQuotations ? `Nobody ever wrote that ${quotation.toLowerCase()}` : quotation;
    },
    idGroups: new Set(ids.map(groupOf)).size,
    nextIds(count) {
      const taken = Array.from({ length: Math.min(count, ids.length) }, (_, index) => {
        return spread[(idsTaken + index) % spread.length];
      });
      idsTaken += taken.length;
      return ids.filter((id) => taken.includes(id));
    },
    sentence(place) {
      const opening = OPENINGS[draw(`${place} opening`, OPENINGS.length)];
      return `${opening} ${word(`${place} first`)} and ${word(`${place} second`)}.`;
    },
    label(place) {
      const name = `${word(`${place} first`)} and ${word(`${place} second`)}`;
      return name.charAt(0).toUpperCase() + name.slice(1);
    },
  };
}

function statementIds(message: string): string[] {
  const found = message.matchAll(/(?:^|\n)(\d+\.\d+)(?=\s)|\[(\d+\.\d+)\]/g);
  return [...new Set(Array.from(found, (match) => match[1] ?? match[2] ?? ""))];
}

function groupOf(id: string): string {
  return id.split(".")[0] ?? "";
}

/** The first id of each group, then the second of each, and so on, so that the first few come from many groups. */
function spreadOverGroups(ids: readonly string[]): string[] {
  const groups = Map.groupBy(ids, groupOf);
  const names = [...groups.keys()];
  const next = inTurn(names, 0);
  const order = names.map(() => groups.get(next() ?? "") ?? []);
  const longest = Math.max(0, ...order.map((group) => group.length));
  return Array.from({ length: longest }, (_, rank) => order.flatMap((group) => group[rank] ?? [])).flat();
}

/** Prompts mark the book's words with a pair of tags; without such a pair the whole message is taken. */
function largestBlock(message: string): string {
  let largest = "";
  const names = new Set(Array.from(message.matchAll(/<([a-z][\w-]*)[^<>]*>/gi), (match) => match[1] ?? ""));
  for (const name of names) {
    const start = message.indexOf(">", message.indexOf(`<${name}`)) + 1;
    const end = message.lastIndexOf(`</${name}>`);
    if (end - start > largest.length) largest = message.slice(start, end);
  }
  return largest === "" ? message : largest;
}

function quotableSentences(text: string): string[] {
  const whole = Array.from(text.matchAll(/[^.!?。！？\n]+[.!?。！？]+["'”’»)]*/g), (match) =>
    match[0].trim(),
  );
  // A quotation of a few words, or of words that come twice, shows no place in the text.
  const good = [...countEach(whole)].filter(
    ([sentence, count]) =>
      count === 1 && sentence.length <= 300 && /^[\p{Lu}\p{Lo}"'“‘«(]/u.test(sentence) && isLong(sentence),
  );
  return good.length > 0 ? good.map(([sentence]) => sentence) : [...new Set(whole)];
}

function countEach(list: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const item of list) counts.set(item, (counts.get(item) ?? 0) + 1);
  return counts;
}

/** Scripts without spaces between words say much with few letters. */
function isLong(sentence: string): boolean {
  return sentence.split(/\s+/).length >= 6 || /(?:[\u3040-\u30ff\u3400-\u9fff].*){8}/u.test(sentence);
}

function longWords(text: string): string[] {
  const words = text.slice(0, 50_000).match(/(?<!\p{L})\p{Ll}{6,}/gu) ?? [];
  return [...new Set(words)].slice(0, 500);
}

/** Goes through the list in even strides, so that the first few are spread over all of it. */
function inTurn(list: readonly string[], first: number): () => string | undefined {
  const size = list.length;
  let stride = Math.max(1, Math.floor(size * 0.382));
  while (greatestCommonDivisor(stride, size) > 1) stride += 1;
  let place = first;
  return () => {
    const item = list[place];
    place = size === 0 ? 0 : (place + stride) % size;
    return item;
  };
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
