import type { ChatRequest } from "../../src/request/chat-request.ts";
import { DENIED_FIELDS } from "../../src/request/request-key.ts";
import type { Random } from "./random.ts";

type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** Texts that differ in little: in case, in white space, in what JSON escapes, in what looks like a digest or like JSON. */
const TEXTS = [
  "",
  " ",
  "a",
  "A",
  "a ",
  " a",
  "á",
  "a\u0301",
  '"',
  '\\"',
  "a\nb",
  "a\\nb",
  "👩‍🚀",
  "Polish",
  "polish",
  "#1",
  "1",
  "null",
  '{"a":1}',
  "a,b",
];
const NUMBERS = [0, 1, -1, 0.1, 0.5, 1e21, 1e-7, 2 ** 53];
const NAMES = ["a", "b", "A", "1", "10", "2", "__proto__", "length", "a b", "é"];

/** Any JSON value, small, from a small world, so that equal values come up by chance. */
function randomJson(random: Random, levels = 3): Json {
  const kind = random.int(levels > 0 ? 7 : 4);
  if (kind === 0) return null;
  if (kind === 1) return random.chance(2);
  if (kind === 2) return random.pick(NUMBERS);
  if (kind === 3) return random.pick(TEXTS);
  if (kind === 4) return random.pick(TEXTS).repeat(700);
  const items = Array.from({ length: random.int(4) }, () => randomJson(random, levels - 1));
  if (kind === 5) return items;
  return Object.fromEntries(items.map((item) => [random.pick(NAMES), item]));
}

const OPTIONS: Readonly<Record<string, (random: Random) => Json>> = {
  temperature: (random) => random.pick([0, 0.5, 1]),
  max_completion_tokens: (random) => random.pick([100, 200]),
  seed: (random) => random.int(2),
  stop: (random) => random.pick([null, "\n", ["\n"]]),
  response_format: (random) => ({ type: "json_schema", json_schema: randomJson(random) }),
  tools: (random) => [{ type: "function", function: randomJson(random) }],
  something_new: (random) => randomJson(random),
};

export function randomRequest(random: Random, { optionsOneIn = 3 } = {}): ChatRequest {
  const messages = Array.from({ length: 1 + random.int(3) }, () => ({
    role: random.pick(["system", "user", "assistant"]),
    content: random.chance(5) ? [{ type: "text", text: random.pick(TEXTS) }] : randomText(random),
  }));
  const options = Object.entries(OPTIONS)
    .filter(() => random.chance(optionsOneIn))
    .map(([name, make]): [string, Json] => [name, make(random)]);
  return {
    model: random.pick(["m", "M"]),
    messages,
    ...Object.fromEntries(options),
    ...randomDenied(random),
  };
}

export function randomDenied(random: Random): Readonly<Record<string, Json>> {
  const denied = [...DENIED_FIELDS].filter(() => random.chance(4));
  return Object.fromEntries(denied.map((name) => [name, randomJson(random)]));
}

function randomText(random: Random): string {
  const text = random.pick(TEXTS);
  if (random.chance(20)) return text.repeat(20_000);
  return random.chance(5) ? text.repeat(1000) : text;
}

/** The same value with the members of its objects put in another order, at every depth. */
export function reordered(value: unknown, random: Random): unknown {
  if (Array.isArray(value)) return value.map((item: unknown) => reordered(item, random));
  if (typeof value !== "object" || value === null) return value;
  const members = Object.entries(value).map(([name, member]) => [name, reordered(member, random)]);
  return Object.fromEntries(random.shuffled(members));
}

/** The same value with a little change somewhere. */
export function changed(value: Json, random: Random): Json {
  if (isList(value)) return changedList(value, random);
  if (typeof value === "object" && value !== null) return changedObject(value, random);
  if (typeof value === "string") return random.pick([`${value} `, ` ${value}`, `${value}a`, [value], null]);
  if (typeof value === "number") return random.pick([value + 1, String(value), -value || 1, [value]]);
  return random.pick([value === null ? false : null, 0, String(value)]);
}

/** `Array.isArray` says nothing about lists that are read-only. */
function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

function changedList(items: readonly Json[], random: Random): Json {
  if (items.length === 0 || random.chance(4)) return random.pick([[...items, null], { ...items }]);
  const place = random.int(items.length);
  return items.with(place, changed(items[place] ?? null, random));
}

function changedObject(members: { readonly [name: string]: Json }, random: Random): Json {
  const entries = Object.entries(members);
  if (entries.length === 0 || random.chance(6)) return { ...members, added: null };
  const [name, member] = random.pick(entries);
  const others = entries.filter(([other]) => other !== name);
  if (random.chance(6)) return Object.fromEntries(others);
  if (random.chance(6)) return Object.fromEntries([...others, [`${name}2`, member]]);
  return Object.fromEntries([...others, [name, changed(member, random)]]);
}
