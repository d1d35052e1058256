import { isDeepStrictEqual } from "node:util";
import { describe, expect, test } from "@jest/globals";
import { defineFamily, openCache } from "@mythic/shared/cache";
import { anySchema } from "./note.ts";
import { Random } from "./random.ts";

/** What could be taken for something else in a key, a pattern, or a text of JSON. */
const TRICKY = [
  ...[
    "",
    "a",
    "A",
    "ab",
    "b",
    " ",
    "0",
    "1",
    "-1",
    "1.5",
    "NaN",
    "true",
    "null",
    "undefined",
    "[]",
    "{}",
    "{",
    "}",
    "{a}",
  ],
  ...[
    ":",
    "::",
    "a:b",
    "/",
    "a/b",
    "../a",
    ".",
    "..",
    ",",
    "a,b",
    "=",
    "=1",
    "!",
    "!true",
    "%",
    "%%",
    "%002c",
    "%0",
    "%25",
  ],
  ...[
    "*",
    "?",
    "[a]",
    "\\",
    '"',
    '"a"',
    "\n",
    "\0",
    "ä",
    "a\u0308",
    "ﬁ",
    "图",
    "📚",
    "\ud83d",
    "\udcda",
    "\ufffd",
    "u.ann",
    "s",
    "t:all",
  ],
  ...[
    "v:notes.1:1",
    "__proto__",
    "constructor",
    "D0",
    "B",
    "1n",
    "x".repeat(199),
    "x".repeat(200),
    "x".repeat(201),
    "%".repeat(60),
  ],
];

function randomText(random: Random): string {
  return random.share() < 0.7 ? random.one(TRICKY) : random.some(3, () => random.one(TRICKY)).join("");
}

function randomArgument(random: Random, depth = 0): unknown {
  const kind = random.whole(0, depth < 3 ? 9 : 6);
  if (kind <= 2) return randomText(random);
  if (kind === 3) return random.one([0, 1, -1, 1.5, 1e21, Number.NaN, Number.POSITIVE_INFINITY]);
  if (kind === 4) return random.one([true, false, null, undefined]);
  if (kind === 5) return random.one([0n, 1n, -1n]);
  if (kind === 6)
    return random.one([new Date(0), new Date(1), Uint8Array.of(), Uint8Array.of(97), Uint8Array.of(0, 255)]);
  if (kind === 7) return random.some(3, () => randomArgument(random, depth + 1));
  return Object.fromEntries(random.some(3, () => [randomText(random), randomArgument(random, depth + 1)]));
}

/** An equal value, whose properties stand in another order. */
function rearranged(value: unknown, random: Random): unknown {
  if (Array.isArray(value)) return value.map((item) => rearranged(item, random));
  if (typeof value !== "object" || value === null || value instanceof Date) return value;
  if (value instanceof Uint8Array) return Uint8Array.from(value);
  const properties = Object.entries(value).map(([name, item]) => [name, rearranged(item, random)] as const);
  return Object.fromEntries(random.shuffled(properties));
}

/** Caches a function that answers how often it was called, so that two lists of arguments share an answer exactly if they share a key. */
function openCounter() {
  const cache = openCache({ namespace: "test", families: {}, redis: null });
  let calls = 0;
  const count = cache.wrap({ prefix: "count", ttlMs: 3_600_000 }, async (..._args: readonly unknown[]) => {
    calls += 1;
    return calls;
  });
  return { cache, count };
}

const plain = defineFamily({
  name: "plain",
  scope: "user",
  version: 3,
  ttlMs: 60_000,
  schema: anySchema<string>(),
  key: (id: string) => id,
});
const shared = defineFamily({
  name: "shared",
  scope: "shared",
  version: 1,
  ttlMs: 60_000,
  schema: anySchema<string>(),
  key: (id: string, part: number | string) => [id, part],
});

async function keyOf(explained: Promise<{ readonly key: string }>): Promise<string> {
  return (await explained).key;
}

describe("the arguments of a function that was made cached", () => {
  test("lead to the same value exactly if they are equal", async () => {
    const random = new Random(20_261_121);
    const { cache, count } = openCounter();
    const lists = Array.from({ length: 1_500 }, () => random.some(3, () => randomArgument(random)));
    const answers = new Map<number, readonly unknown[]>();
    for (const list of lists) {
      const answer = await count(...list);
      const other = answers.get(answer);
      if (other !== undefined) expect(isDeepStrictEqual(list, other)).toBe(true);
      answers.set(answer, list);
    }
    // Distinct answers for equal lists would be as wrong.
    const distinct = [...answers.values()];
    for (const [index, list] of distinct.entries()) {
      const twin = distinct.findIndex((other) => isDeepStrictEqual(list, other));
      expect(twin).toBe(index);
    }
    expect(distinct.length).toBeGreaterThan(500);
    expect(distinct.length).toBeLessThan(lists.length);
    await cache.close();
  });

  test("are equal whatever the order of their properties", async () => {
    const random = new Random(4);
    const { cache, count } = openCounter();
    for (let round = 0; round < 500; round += 1) {
      const list = random.some(3, () => randomArgument(random));
      const twin = list.map((argument) => rearranged(argument, random));
      expect(await count(...twin)).toBe(await count(...list));
    }
    await cache.close();
  });

  test("are refused when they have no value of their own, or contain themselves", async () => {
    const { cache, count } = openCounter();
    const round: { self?: unknown } = {};
    round.self = round;
    for (const argument of [() => 1, Symbol("s"), new Map(), new (class Thing {})(), /a/, round, [round]]) {
      await expect(count(argument)).rejects.toThrow(TypeError);
    }
    await cache.close();
  });
});

describe("the key of a value", () => {
  test("is another for each user and each argument, and for nobody else's", async () => {
    const random = new Random(7);
    const cache = openCache({ namespace: "test", families: { plain, shared }, redis: null });
    const inner = cache.namespace("u.ann").families;
    const owners = new Map<string, string>();
    const note = async (explained: Promise<{ readonly key: string }>, ...owner: readonly unknown[]) => {
      const key = await keyOf(explained);
      const text = owner.map((part) => JSON.stringify(part)).join();
      expect(owners.get(key) ?? text).toBe(text);
      owners.set(key, text);
    };
    for (let round = 0; round < 2_000; round += 1) {
      const user = randomText(random) || "nobody";
      const id = randomText(random);
      await note(cache.families.plain.explain(user, id), "outer", "plain", user, id);
      await note(inner.plain.explain(user, id), "inner", "plain", user, id);
      const part = random.share() < 0.5 ? randomText(random) : random.whole(0, 3);
      await note(cache.families.shared.explain(id, part), "outer", "shared", id, part);
      await note(inner.shared.explain(id, part), "inner", "shared", id, part);
    }
    expect(new Set(owners.values()).size).toBe(owners.size);
    await cache.close();
  });

  test("says whose the value is, whatever a user's id looks like", async () => {
    const cache = openCache({ namespace: "test", families: { plain }, redis: null });
    const scopes = new Set<string>();
    const users = TRICKY.filter((user) => user !== "");
    for (const user of users) {
      const { key, scope, family } = await cache.families.plain.explain(user, "id");
      expect(key).toBe(`test:c:{${scope}}:v:plain.3:id`);
      expect(scope).toMatch(/^u\.[\w.:@+~%-]+$/);
      expect(family).toBe("plain");
      scopes.add(scope);
    }
    expect(scopes.size).toBe(users.length);
    await cache.close();
  });

  test("is short, however long a user's id and the arguments are", async () => {
    const cache = openCache({ namespace: "test", families: { plain }, redis: null });
    const keys = new Set<string>();
    for (const long of [
      "x".repeat(201),
      "x".repeat(10_000),
      `${"x".repeat(10_000)}y`,
      "图".repeat(41),
      "图".repeat(40),
    ]) {
      for (const [user, id] of [
        [long, "1"],
        ["ann", long],
        [long, long],
      ] as const) {
        const key = await keyOf(cache.families.plain.explain(user, id));
        expect(key.length).toBeLessThanOrEqual(440);
        keys.add(key);
      }
    }
    expect(keys.size).toBe(15);
    await cache.close();
  });

  test("keeps a namespace apart from others, whatever they are called", async () => {
    const cache = openCache({ namespace: "test", families: { plain }, redis: null });
    const keys = new Set<string>();
    for (const name of TRICKY)
      keys.add(await keyOf(cache.namespace(name).families.plain.explain("ann", "1")));
    const nested = cache.namespace("a").namespace("b");
    keys.add(await keyOf(nested.families.plain.explain("ann", "1")));
    expect(keys.size).toBe(TRICKY.length + 1);
    await cache.close();
  });
});
