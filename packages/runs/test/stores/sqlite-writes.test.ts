import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "@jest/globals";
import { LedgerTexts } from "../../src/stores/ledger-texts.ts";
import { Database, type Statements } from "../../src/stores/sqlite/database.ts";
import { SqliteLedger } from "../../src/stores/sqlite/ledger.ts";
import { MIGRATIONS, migrate } from "../../src/stores/sqlite/schema.ts";
import { opening, settlement } from "./samples.ts";

const directory = await mkdtemp(join(tmpdir(), "mythic-writes-"));
let files = 0;

afterAll(async () => {
  await rm(directory, { recursive: true });
});

/** A file with a table of numbers, no two of them alike. */
async function openNumbers(): Promise<{ readonly path: string; readonly database: Database }> {
  files += 1;
  const path = join(directory, `${files}.db`);
  const database = await Database.open(path);
  await database.write((statements) => statements.script("CREATE TABLE numbers (number INTEGER UNIQUE)"));
  return { path, database };
}

const add = (database: Database, number: number) =>
  database.write((statements) => statements.run("INSERT INTO numbers VALUES ($number)", { number }));

const numbersOf = (database: Database) =>
  database.read((statements) =>
    statements.all<{ number: number }>("SELECT number FROM numbers ORDER BY rowid").map((row) => row.number),
  );

// https://www.sqlite.org/pragma.html#pragma_synchronous
const [NORMAL, FULL] = [1, 2];
const levelIn = (statements: Statements) =>
  statements.get<{ synchronous: number }>("PRAGMA synchronous")?.synchronous;

const upTo = (count: number) => Array.from({ length: count }, (_, at) => at);

describe("writes of one process that come at the same time", () => {
  test("share transactions: the log grows by less than for one after the other", async () => {
    const apart = await openNumbers();
    const together = await openNumbers();
    await using _ = apart.database;
    await using __ = together.database;
    for (const number of upTo(100)) await add(apart.database, number);
    await Promise.all(upTo(100).map((number) => add(together.database, number)));
    const [large, small] = await Promise.all([apart, together].map(({ path }) => stat(`${path}-wal`)));
    expect(await numbersOf(together.database)).toEqual(await numbersOf(apart.database));
    expect(small?.size).toBeLessThan((large?.size ?? 0) / 10);
  });

  test("happen in the order in which they were asked for, and each has its own result", async () => {
    const { database } = await openNumbers();
    await using _ = database;
    const counted = upTo(10).map((number) =>
      database.write((statements) => {
        statements.run("INSERT INTO numbers VALUES ($number)", { number });
        return statements.get<{ rows: number }>("SELECT count(*) AS rows FROM numbers")?.rows;
      }),
    );
    expect(await Promise.all(counted)).toEqual(upTo(10).map((at) => at + 1));
  });

  test("do not fail for the one among them that does, and nothing of that one stays", async () => {
    const { database } = await openNumbers();
    await using _ = database;
    const failing = database.write((statements) => {
      statements.run("INSERT INTO numbers VALUES (100)");
      throw new Error("No.");
    });
    const settled = await Promise.allSettled([add(database, 1), failing, add(database, 1), add(database, 2)]);
    expect(settled.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "rejected", "fulfilled"]);
    expect(await numbersOf(database)).toEqual([1, 2]);
  });

  test("are on the disk when they are answered, but for what need only outlive the process", async () => {
    const { database } = await openNumbers();
    await using _ = database;
    const write = (survivesPowerCut: boolean) => database.write(levelIn, { survivesPowerCut });
    expect(await write(true)).toBe(FULL);
    expect(await write(false)).toBe(NORMAL);
    // In one transaction.
    expect(await Promise.all([write(false), write(true)])).toEqual([FULL, FULL]);
    expect(await write(false)).toBe(NORMAL);
    expect(await write(true)).toBe(FULL);
  });

  test("are written before the file is closed", async () => {
    const { path, database } = await openNumbers();
    const adding = Promise.all(upTo(3).map((number) => add(database, number)));
    await database[Symbol.asyncDispose]();
    await adding;
    await using again = await Database.open(path);
    expect(await numbersOf(again)).toEqual([0, 1, 2]);
  });
});

test("a call's answer waits until it is on the disk, what was spent on a call without one does not", async () => {
  await using database = await Database.open(join(directory, "ledger.db"));
  await migrate(database, MIGRATIONS);
  const ledger = new SqliteLedger(database, Date.now, new LedgerTexts(null));
  const settleWith = async (answer: string | null) => {
    const call = opening();
    await ledger.open("user", call);
    await ledger.settle("user", call.id, settlement({ answer }));
    return await database.read(levelIn);
  };
  expect(await settleWith("An answer.")).toBe(FULL);
  expect(await settleWith(null)).toBe(NORMAL);
  expect(await settleWith("Another.")).toBe(FULL);
});
