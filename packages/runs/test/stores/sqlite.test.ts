import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, describe, expect, test } from "@jest/globals";
import { openStore, StoreVersionError } from "../../src/stores/open-store.ts";
import { openSqliteStore } from "../../src/stores/sqlite/open-sqlite-store.ts";
import { MIGRATIONS } from "../../src/stores/sqlite/schema.ts";
import { exerciseEverything } from "./exercise-everything.ts";
import {
  claimedStep,
  collect,
  createdRun,
  newBook,
  pieces,
  readyBook,
  sha256,
  storedBook,
} from "./samples.ts";
import { describeStore } from "./store.suite.ts";
import { expectTakenForward, VERSION_1_CALLS } from "./version-1.ts";

const base = await mkdtemp(join(tmpdir(), "mythic-store-"));
let serial = 0;

function freshDirectory(): string {
  serial += 1;
  return join(base, String(serial));
}

function start(script: URL, ...args: readonly string[]): ChildProcess {
  return fork(script, [...args], { execArgv: [] });
}

/** Opens the file behind the store's back. */
function inspect<Result>(directory: string, work: (database: DatabaseSync) => Result): Result {
  using database = new DatabaseSync(join(directory, "mythic.db"));
  return work(database);
}

function countRows(directory: string, table: string): number {
  return inspect(directory, (database) =>
    Number(database.prepare(`SELECT count(*) AS rows FROM ${table}`).get()?.["rows"]),
  );
}

afterAll(async () => {
  await rm(base, { recursive: true });
});

describeStore("sqlite", async (options = {}) => {
  const dataDir = freshDirectory();
  return { store: await openStore({ dataDir, ...options }), spawnArgs: ["", dataDir] };
});

describe("the file of the SQLite store", () => {
  test("the data directory is made when it is missing, and only its owner can read what is in it", async () => {
    const directory = join(freshDirectory(), "deep", "down");
    await using store = await openSqliteStore({ directory });
    await createdRun(store, "user");
    expect((await stat(directory)).mode & 0o777).toBe(0o700);
    for (const file of ["mythic.db", "mythic.db-wal", "mythic.db-shm"]) {
      expect((await stat(join(directory, file))).mode & 0o077).toBe(0);
    }
  });

  test("a commit reaches the disk before it is acknowledged, by way of a write-ahead log", async () => {
    const directory = freshDirectory();
    await using _ = await openSqliteStore({ directory });
    expect(inspect(directory, (database) => database.prepare("PRAGMA journal_mode").get())).toEqual({
      journal_mode: "wal",
    });
  });

  test.each([
    ["a file where the directory should be", async (path: string) => await writeFile(path, "")],
    [
      "a database that is none",
      async (path: string) => {
        await mkdir(path);
        await writeFile(
          join(path, "mythic.db"),
          "not a database, but long enough to be looked at".repeat(100),
        );
      },
    ],
  ])("%s makes the store unavailable", async (_, spoil) => {
    const directory = freshDirectory();
    await spoil(directory);
    await expect(openSqliteStore({ directory })).rejects.toMatchObject({ code: "store_unavailable" });
  });

  test("nothing of a deleted book stays in the file, but for runs and ledger", async () => {
    const directory = freshDirectory();
    await using store = await openSqliteStore({ directory });
    await exerciseEverything(store, "user");
    const gone = await readyBook(store, "user");
    const { id: runId } = await createdRun(store, "user", { bookId: gone.id, status: "succeeded" });
    const tables = ["books", "book_files", "book_pieces", "chapters", "steps", "results", "runs"];
    const before = tables.map((table) => countRows(directory, table));
    const step = await claimedStep(store, "user", { bookId: gone.id, runId });
    await store.steps.complete(step.id, step.fence, { value: 1, reusedAnswers: 0 });
    await store.books.delete("user", gone.id);
    await store.dispatch.purgeDeleted(10);
    const after = tables.map((table) => countRows(directory, table));
    expect(after).toEqual(before.map((rows, at) => rows - ([1, 1, 1, 2, 0, 0, 0][at] ?? 0)));
  });

  test("pieces of an upload whose process was killed are collected", async () => {
    const directory = freshDirectory();
    let now = Date.now();
    await using store = await openSqliteStore({ directory, now: () => now });
    await store.books.storeBytes("user", "book", pieces("x".repeat(600_000)));
    // What a kill leaves: pieces, and a row that does not say how many.
    inspect(directory, (database) => database.exec("UPDATE book_files SET pieces = NULL"));
    expect(await collect(store.books.readBytes("user", "book"))).toHaveLength(0);
    now += 60_000;
    expect(await store.dispatch.collectOrphans(30_000)).toBe(1);
    expect(countRows(directory, "book_pieces")).toBe(0);
  });

  test("a reader whose bytes are removed under it does not take what it has for the whole", async () => {
    await using store = await openSqliteStore({ directory: freshDirectory() });
    await store.books.storeBytes("user", "book", pieces("x".repeat(600_000)));
    const read = async (): Promise<void> => {
      for await (const _ of store.books.readBytes("user", "book"))
        await store.books.removeBytes("user", "book");
    };
    await expect(read()).rejects.toThrow("removed while they were read");
  });
});

describe("several processes on one file", () => {
  test("a file that another process holds makes a write give up after some five seconds, and blocks nothing else", async () => {
    const directory = freshDirectory();
    await using store = await openSqliteStore({ directory });
    const run = await createdRun(store, "user");
    const holder = start(new URL("./lock-holder.ts", import.meta.url), join(directory, "mythic.db"));
    try {
      await once(holder, "message");
      let late = 0;
      let seen = performance.now();
      const ticking = setInterval(() => {
        late = Math.max(late, performance.now() - seen);
        seen = performance.now();
      }, 5);
      const from = performance.now();
      const write = store.runs.update("user", run.id, run.revision, { status: "running" });
      expect(await store.runs.get("user", run.id)).toEqual(run);
      await store.ping();
      await expect(write).rejects.toMatchObject({ name: "StoreUnavailableError", retryable: true });
      clearInterval(ticking);
      expect(performance.now() - from).toBeGreaterThan(4_500);
      expect(performance.now() - from).toBeLessThan(9_000);
      // 20 ms of waiting for the lock, and what a busy machine adds to any timer: far from the five seconds.
      expect(late).toBeLessThan(2_000);
      expect(await store.runs.get("user", run.id)).toEqual(run);
    } finally {
      holder.kill("SIGKILL");
    }
  });

  test("a write waits for another process to let go, and then happens", async () => {
    const directory = freshDirectory();
    await using store = await openSqliteStore({ directory });
    const holder = start(new URL("./lock-holder.ts", import.meta.url), join(directory, "mythic.db"));
    try {
      await once(holder, "message");
      let written = false;
      const write = createdRun(store, "user").finally(() => {
        written = true;
      });
      for (let look = 0; look < 20; look++) await store.runs.list("user", { limit: 1, after: null });
      expect(written).toBe(false);
      holder.send("let go");
      const run = await write;
      expect(await store.runs.get("user", run.id)).toEqual(run);
    } finally {
      holder.kill("SIGKILL");
    }
  });

  test("a writer that is killed loses nothing that was acknowledged", async () => {
    const directory = freshDirectory();
    const writer = start(new URL("./restless-writer.ts", import.meta.url), directory);
    const said: Record<string, string>[] = [];
    writer.on("message", (message) => {
      said.push(message as Record<string, string>);
      if (said.length === 100) writer.kill("SIGKILL");
    });
    await once(writer, "exit");
    await using store = await openSqliteStore({ directory });
    expect(said.length).toBeGreaterThanOrEqual(100);
    for (const { run, call, book, sha256: hash } of said) {
      if (run) expect(await store.runs.get("user", run)).not.toBeNull();
      if (call) expect(await store.ledger.ofRun("user", call)).toHaveLength(1);
      if (book) expect(sha256(await collect(store.books.readBytes("user", book)))).toBe(hash);
    }
    expect(inspect(directory, (database) => database.prepare("PRAGMA integrity_check").get())).toEqual({
      integrity_check: "ok",
    });
  });
});

describe("the schema of the SQLite store", () => {
  const NEXT = [...MIGRATIONS, "ALTER TABLE books ADD COLUMN shelf TEXT; UPDATE books SET shelf = 'old';"];

  test("a newer program takes the file to its version, and what is in it stays", async () => {
    const directory = freshDirectory();
    const store = await openSqliteStore({ directory });
    const book = await storedBook(store, "user");
    await store[Symbol.asyncDispose]();
    await using newer = await openSqliteStore({ directory, migrations: NEXT });
    expect(await newer.books.get("user", book.id)).toEqual(book);
    const shelves = inspect(directory, (database) => database.prepare("SELECT shelf FROM books").all());
    expect(shelves).toEqual([{ shelf: "old" }]);
    await using again = await openSqliteStore({ directory, migrations: NEXT });
    await again.books.create("user", newBook());
    expect(countRows(directory, "books")).toBe(2);
  });

  test("a file of version 1 is taken forward, and its rows mean what they meant", async () => {
    const directory = freshDirectory();
    await mkdir(directory);
    inspect(directory, (database) => {
      database.exec(`${MIGRATIONS[0]}
        CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
        INSERT INTO meta VALUES ('version', 1)`);
      const insert = database.prepare(
        `INSERT INTO ledger (id, user, run_id, step_id, recipe, recipe_version, digest, state, model_asked, model_answered,
           input_tokens, cached_tokens, output_tokens, cost, latency_ms, outcome, answer, sent_at, settled_at)
         VALUES ($id, $user, $runId, $stepId, $recipe, $recipeVersion, $digest, $state, $modelAsked, $modelAnswered,
           $inputTokens, $cachedTokens, $outputTokens, $cost, $latencyMs, $outcome, $answer, $sentAt, $settledAt)`,
      );
      for (const { sentAt, settledAt, ...call } of VERSION_1_CALLS) {
        insert.run({ ...call, sentAt: sentAt.getTime(), settledAt: settledAt?.getTime() ?? null });
      }
    });
    await using store = await openSqliteStore({ directory });
    await expectTakenForward(store);
    const tables = inspect(directory, (database) =>
      database.prepare("SELECT name FROM sqlite_schema WHERE name LIKE 'ledger%' ORDER BY name").all(),
    );
    expect(tables.map(({ name }) => name)).toEqual([
      ...["ledger", "ledger_answers", "ledger_of_day", "ledger_of_run", "ledger_sent"],
    ]);
  });

  test("an older program refuses to start, says which versions, and changes nothing", async () => {
    const directory = freshDirectory();
    await (await openSqliteStore({ directory, migrations: NEXT }))[Symbol.asyncDispose]();
    const refused = openStore({ dataDir: directory });
    await expect(refused).rejects.toBeInstanceOf(StoreVersionError);
    await expect(refused).rejects.toMatchObject({
      found: MIGRATIONS.length + 1,
      supported: MIGRATIONS.length,
      retryable: false,
    });
    await (await openSqliteStore({ directory, migrations: NEXT }))[Symbol.asyncDispose]();
  });

  test("a migration that fails leaves the file as it was", async () => {
    const directory = freshDirectory();
    await (await openSqliteStore({ directory }))[Symbol.asyncDispose]();
    const broken = [...MIGRATIONS, "CREATE TABLE half (id TEXT); INSERT INTO nowhere VALUES (1);"];
    await expect(openSqliteStore({ directory, migrations: broken })).rejects.toThrow("nowhere");
    await using store = await openSqliteStore({ directory });
    await store.ping();
    const tables = inspect(directory, (database) =>
      database.prepare("SELECT name FROM sqlite_schema WHERE name = 'half'").all(),
    );
    expect(tables).toEqual([]);
  });

  test("processes that start at once on a new directory all come up, and migrate once", async () => {
    const directory = freshDirectory();
    const racers = Array.from({ length: 4 }, () =>
      start(new URL("./claim-racer.ts", import.meta.url), "", directory),
    );
    try {
      const ready = await Promise.all(racers.map((racer) => once(racer, "message")));
      expect(ready.map(([message]) => message)).toEqual(racers.map(() => ({ ready: true })));
      const version = inspect(directory, (database) => database.prepare("SELECT value FROM meta").all());
      expect(version).toEqual([{ value: MIGRATIONS.length }]);
    } finally {
      for (const racer of racers) racer.kill("SIGKILL");
    }
  });

  test("two newer programs that start at once migrate a file once", async () => {
    const directory = freshDirectory();
    await (await openSqliteStore({ directory }))[Symbol.asyncDispose]();
    const opened = await Promise.all(
      Array.from({ length: 3 }, () => openSqliteStore({ directory, migrations: NEXT })),
    );
    for (const store of opened) {
      await createdRun(store, "user");
      await store[Symbol.asyncDispose]();
    }
    expect(countRows(directory, "runs")).toBe(3);
  });
});

/** Indexes that hold only the rows in question, so that going through one is no scan of a table. */
const NARROW =
  /USING (COVERING )?INDEX (steps_running|steps_waiting|steps_dispatched|books_unparsed|books_deleted|runs_live)/;

describe("the queries of the SQLite store", () => {
  test("no query goes through a whole table", async () => {
    const directory = freshDirectory();
    const queries = new Set<string>();
    const { prepare } = DatabaseSync.prototype;
    DatabaseSync.prototype.prepare = function (sql, ...options) {
      queries.add(sql);
      return prepare.call(this, sql, ...options);
    };
    try {
      await using store = await openSqliteStore({ directory });
      await exerciseEverything(store, "user");
    } finally {
      DatabaseSync.prototype.prepare = prepare;
    }
    expect(queries.size).toBeGreaterThan(50);
    const scans = inspect(directory, (database) =>
      [...queries].flatMap((sql) => {
        const plan = database.prepare(`EXPLAIN QUERY PLAN ${sql}`).all();
        return plan
          .map((line) => String(line["detail"]))
          .filter((detail) =>
            /SCAN (books|book_files|book_pieces|chapters|runs|steps|results|ledger|savings|secrets|replies)\b/.test(
              detail,
            ),
          )
          .filter((detail) => !NARROW.test(detail))
          .map((detail) => `${detail} ← ${sql}`);
      }),
    );
    expect(scans).toEqual([]);
  });
});
