import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { type FamilyCache, openCache } from "@mythic/shared/cache";
import { redisUrl } from "@mythic/testing/redis";
import { waitFor } from "@mythic/testing/wait";
import { plain } from "../../src/cache/views.ts";
import { type CacheFamilies, cacheFamilies } from "../../src/cache-families.ts";
import { newRun } from "../stores/samples.ts";
import { type CachingProcess, openFreshStore, openProcesses } from "./processes.ts";

const FAMILIES = cacheFamilies({ answersTtlMs: 60_000 });
const RUN = newRun("ada");
const EMPTY = { recipe: "summary", chapters: [], next: null, whole: null, coverage: null };
const BOOK = {
  ...({
    id: "b",
    user: "ada",
    status: "stored",
    sha256: "",
    bytes: 1,
    format: "text",
    fileName: null,
  } as const),
  ...{ title: null, authors: [], language: null, chapters: 0, characters: 0, warnings: [], edition: null },
  ...{ error: null, createdAt: "", readyAt: null, deletedAt: null, revision: 1 },
};

type UserFamily = {
  [Name in keyof CacheFamilies]: CacheFamilies[Name]["scope"] extends "user" ? Name : never;
}[keyof CacheFamilies];

/** Of every family of users: what a value is found by, and a value. */
const SAMPLES: Record<UserFamily, readonly [at: readonly unknown[], value: unknown]> = {
  runStatus: [[RUN.id], plain(RUN)],
  bookList: [[{ limit: 20, after: null }], { items: [], next: null }],
  book: [["book_1"], { book: BOOK, chapters: [] }],
  result: [[RUN, "summary", { after: null, limit: 100 }], EMPTY],
  answers: [["digest"], { answers: ["What was said."] }],
};

/** As the table has them. A family without a sample is an error of types, and fails. */
const USER_FAMILIES = Object.entries(FAMILIES)
  .filter(([, { scope }]) => scope === "user")
  .map(([name]) => [name, SAMPLES[name as UserFamily]] as const);

/** Ids that would be each other's if they were put into keys as they are. */
const IMITATORS = ["ada:books", "ada}", "{ada}", "ada*", "u.ada", "ADA", "ada/..", "ad", "adaa", "%", " ada"];

/** A family for callers without types: what they pass is checked when it is passed. */
type Untyped = FamilyCache<"user", readonly unknown[], unknown>;

describe("what is cached", () => {
  const stack = new AsyncDisposableStack();
  let processes: readonly CachingProcess[];
  beforeAll(async () => {
    const store = await openFreshStore(stack);
    processes = await openProcesses(stack, { count: 2, redisUrl: await redisUrl(), store });
  });
  afterAll(() => stack.disposeAsync());

  const familyOf = (at: number, name: UserFamily) =>
    processes[at]?.cache.families[name] as unknown as Untyped;

  test.each(USER_FAMILIES)("of %s, never reaches another user", async (name, [at, value]) => {
    const [mine, elsewhere] = [familyOf(0, name as UserFamily), familyOf(1, name as UserFamily)];
    expect(await mine.set("ada", ...at, value)).toBe(true);
    expect(await elsewhere.get("ada", ...at)).toEqual(value);
    for (const stranger of ["bob", ...IMITATORS]) {
      for (const family of [mine, elsewhere]) {
        expect(family.peek(stranger, ...at)).toBeUndefined();
        expect(await family.get(stranger, ...at)).toBeUndefined();
        let loaded = false;
        const load = () => {
          loaded = true;
          return undefined;
        };
        expect(await family.getOrSet(stranger, ...at, load)).toBeUndefined();
        expect(loaded).toBe(true);
      }
    }
    expect(await elsewhere.get("ada", ...at)).toEqual(value);
  });

  test.each(USER_FAMILIES)("of %s, cannot be asked for without a user", async (name, [at]) => {
    const family = familyOf(0, name as UserFamily);
    await expect(family.get(undefined as unknown as string, ...at)).rejects.toThrow(TypeError);
    await expect(family.get("", ...at)).rejects.toThrow(TypeError);
  });

  test("of keys, is shared, and found by the hash of a whole key alone", async () => {
    const shared = Object.values(FAMILIES).filter(({ scope }) => scope === "shared");
    expect(shared.map(({ name }) => name)).toEqual(["api-key"]);
    const [one] = processes;
    await one?.cache.families.apiKey.set("hash of one", { id: "key_1", user: "ada", role: "user" });
    expect(await one?.cache.families.apiKey.get("hash of another")).toBeUndefined();
  });

  test("has names and versions of its own", () => {
    const names = Object.values(FAMILIES).map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  });
});

test("where runs stand is read anew together with others, up to six seconds early, and expires together from then on", async () => {
  let now = 0;
  await using stack = new AsyncDisposableStack();
  const cache = openCache({ namespace: "test", families: FAMILIES, redis: null, clock: () => now });
  stack.defer(() => cache.close());
  const { promise: answered, resolve: answer } = Promise.withResolvers<void>();
  const reads: string[] = [];
  const poll = (id: string) =>
    cache.families.runStatus.getOrSet("ada", id, async () => {
      reads.push(id);
      if (now > 0 && together.includes(id)) await answered;
      return plain({ ...RUN, id });
    });
  const together = ["a", "b", "c", "d"];
  const later = Array.from({ length: 9 }, (_, index) => `after ${index + 1} s`);
  await Promise.all(together.map(poll));
  for (const id of later) {
    now += 1_000;
    await poll(id);
  }
  reads.length = 0;
  now = 29_999;
  await Promise.all([...together, ...later].map(poll));
  expect(reads).toEqual([]);
  now = 30_000;
  const polled = Promise.all(together.map(poll));
  await waitFor(() => reads.length === together.length);
  await Promise.all(later.map(poll));
  answer();
  await polled;
  // What is read for others after it is over is read after what was begun before.
  await cache.families.runStatus.getOrSet("bob", "run", async () => plain(RUN));
  const early = [...together, ...later.slice(0, 6)];
  expect(reads).toEqual(early);
  now = 59_999;
  await Promise.all(early.map(poll));
  expect(reads).toHaveLength(early.length);
  now = 60_000;
  await Promise.all(early.map(poll));
  expect(reads).toHaveLength(2 * early.length);
});
