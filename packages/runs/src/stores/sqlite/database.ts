import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { setTimeout as delay, setImmediate as immediate } from "node:timers/promises";
import { StoreUnavailableError } from "../../store.ts";
import { LateSync } from "./late-sync.ts";

/** SQLite waits for another process in this thread, so the event loop stands still for as long. */
const BUSY_TIMEOUT_MS = 10;
/** After this long of others holding the file, the store counts as unavailable. */
const PATIENCE_MS = 5_000;
/** Waits between two tries: a random time up to the ceiling, which doubles up to the cap. */
const RETRY_BASE_MS = 4;
const RETRY_CAP_MS = 64;
/** Of writes that share a transaction, as the event loop stands still for as long as it takes. */
const MOST_TOGETHER = 64;
/** After this many writes that had waited for company in vain, the next is made at once. */
const ALONE_AT_ONCE = 8;
/** The write-ahead log is cut back to this once it was copied into the file. */
const JOURNAL_LIMIT_BYTES = 64 * 1024 * 1024;

// https://www.sqlite.org/rescode.html, primary codes.
const BUSY = 5;
const LOCKED = 6;
/** The disk or the file is in trouble: READONLY, IOERR, CORRUPT, FULL, CANTOPEN, NOTADB. */
const BROKEN = new Set([8, 10, 11, 13, 14, 26]);

export type Values = Record<string, SQLInputValue>;

/** Statements on an open file, each prepared once. All of it blocks, for well under a millisecond when indexed. */
export class Statements {
  readonly #database: DatabaseSync;
  readonly #prepared = new Map<string, Prepared>();

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** The first row. The caller names its shape, which the schema guarantees. */
  get<Row>(sql: string, values: Values = {}): Row | undefined {
    const { statement, names } = this.#prepare(sql);
    return statement.get(...valuesOf(names, values)) as Row | undefined;
  }

  all<Row>(sql: string, values: Values = {}): Row[] {
    const { statement, names } = this.#prepare(sql);
    return statement.all(...valuesOf(names, values)) as Row[];
  }

  /** Answers how many rows changed. */
  run(sql: string, values: Values = {}): number {
    const { statement, names } = this.#prepare(sql);
    return Number(statement.run(...valuesOf(names, values)).changes);
  }

  /** Several statements at once, without values: for the schema. */
  script(sql: string): void {
    this.#database.exec(sql);
  }

  #prepare(sql: string): Prepared {
    let prepared = this.#prepared.get(sql);
    if (!prepared) {
      const names = [...new Set(Array.from(sql.matchAll(PARAMETER), ([, name]) => name ?? ""))];
      const numbered = sql.replaceAll(PARAMETER, (_, name: string) => `?${names.indexOf(name) + 1}`);
      prepared = { statement: this.#database.prepare(numbered), names };
      this.#prepared.set(sql, prepared);
    }
    return prepared;
  }
}

/** A value that a statement names. There is none in the text of our statements. */
const PARAMETER = /\$(\w+)/g;

/** Node looks for the place of a named value each time, which takes longer than a small statement. */
interface Prepared {
  readonly statement: StatementSync;
  /** Of the values, in their order. */
  readonly names: readonly string[];
}

function valuesOf(names: readonly string[], values: Values): SQLInputValue[] {
  return names.map((name) => {
    const value = values[name];
    if (value === undefined) throw new TypeError(`The statement has no value for $${name}.`);
    return value;
  });
}

export interface WriteOptions {
  /**
   * False for what must outlive this process, and may be lost when the machine loses its power within `LATE_MS`: nobody waits until it is on
   * the disk, which is most of what a small write costs. True unless told.
   */
  readonly survivesPowerCut?: boolean;
}

/** A write that waits for its transaction. */
interface Waiting extends Required<WriteOptions> {
  readonly work: (statements: Statements) => unknown;
  readonly since: number;
  readonly resolve: (result: never) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * One SQLite file, shared with other processes. Whoever finds it locked waits without blocking the event loop, up to 5 seconds;
 * then, and when the disk is in trouble, it is a `StoreUnavailableError`.
 *
 * Writes that come at the same time share a transaction, as waiting for the disk is most of what a small one costs.
 */
export class Database implements AsyncDisposable {
  readonly #database: DatabaseSync;
  readonly #statements: Statements;
  readonly #waiting: Waiting[] = [];
  readonly #lateSync: LateSync;
  /** Whether transactions wait for the disk now. */
  #isFull = true;
  /** Writes since the last that shared a transaction. */
  #alone = ALONE_AT_ONCE;
  #writing: Promise<void> | null = null;

  private constructor(database: DatabaseSync, path: string) {
    this.#database = database;
    this.#statements = new Statements(database);
    this.#lateSync = new LateSync(`${path}-wal`);
  }

  static async open(path: string): Promise<Database> {
    const opened = await patiently(() => new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS }));
    const database = new Database(opened, path);
    try {
      await patiently(() => opened.exec("PRAGMA journal_mode = WAL"));
      // FULL: what was acknowledged survives a power cut, too.
      await patiently(() =>
        opened.exec(`PRAGMA synchronous = FULL; PRAGMA journal_size_limit = ${JOURNAL_LIMIT_BYTES}`),
      );
      return database;
    } catch (error) {
      await database[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** One statement that reads. In a write-ahead log readers wait for nobody, but while the file is opened or mended. */
  async read<Result>(
    work: (statements: Statements) => Result,
    patienceMs: number = PATIENCE_MS,
  ): Promise<Result> {
    return await patiently(() => work(this.#statements), patienceMs);
  }

  /** One statement that writes. */
  async run(sql: string, values: Values): Promise<number> {
    return await this.write((statements) => statements.run(sql, values));
  }

  /** All writes of `work` happen, or none. It may run several times, so it must not do anything else. */
  write<Result>(
    work: (statements: Statements) => Result,
    { survivesPowerCut = true }: WriteOptions = {},
  ): Promise<Result> {
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    this.#waiting.push({ work, survivesPowerCut, since: performance.now(), resolve, reject });
    this.#writing ??= this.#writeAll();
    return promise;
  }

  async #writeAll(): Promise<void> {
    // What else comes with the same turn of the event loop writes too, where there lately was something. What does not wait for the disk can
    // wait for that: sharing is most of what it can save.
    if (this.#alone < ALONE_AT_ONCE || !this.#waiting[0]?.survivesPowerCut) await immediate();
    do {
      const writes = this.#waiting.splice(0, MOST_TOGETHER);
      this.#alone = writes.length === 1 ? this.#alone + 1 : 0;
      await this.#writeTogether(writes);
      await immediate();
    } while (this.#waiting.length > 0);
    this.#writing = null;
  }

  /** Never rejects. */
  async #writeTogether(writes: readonly Waiting[]): Promise<void> {
    try {
      const since = Math.min(...writes.map((write) => write.since));
      const patienceMs = Math.max(0, since + PATIENCE_MS - performance.now());
      const results = await patiently(() => this.#transact(writes), patienceMs);
      for (const [at, { resolve }] of writes.entries()) resolve(results[at] as never);
    } catch (error) {
      const [only] = writes;
      if (writes.length === 1) only?.reject(error);
      // What one of them did wrong is nothing to the others.
      else for (const write of writes) await this.#writeTogether([write]);
    }
  }

  #transact(writes: readonly Waiting[]): readonly unknown[] {
    const isOnDisk = writes.some(({ survivesPowerCut }) => survivesPowerCut);
    this.#waitForDisk(isOnDisk);
    // IMMEDIATE: a transaction that reads first and finds itself out of date when it writes could only start over.
    this.#statements.run("BEGIN IMMEDIATE");
    try {
      const results = writes.map(({ work }) => work(this.#statements));
      this.#statements.run("COMMIT");
      this.#lateSync.written(isOnDisk);
      return results;
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      throw error;
    }
  }

  /** NORMAL: the log waits for the disk when it is copied into the file, or when a transaction that is FULL does. */
  #waitForDisk(isFull: boolean): void {
    if (isFull === this.#isFull) return;
    this.#database.exec(`PRAGMA synchronous = ${isFull ? "FULL" : "NORMAL"}`);
    this.#isFull = isFull;
  }

  /** Writes what waits, and closes the file. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing;
    await this.#lateSync[Symbol.asyncDispose]();
    if (this.#database.isOpen) this.#database.close();
  }
}

async function patiently<Result>(work: () => Result, patienceMs: number = PATIENCE_MS): Promise<Result> {
  const deadline = performance.now() + patienceMs;
  for (let ceiling = RETRY_BASE_MS; ; ceiling = Math.min(RETRY_CAP_MS, ceiling * 2)) {
    try {
      return work();
    } catch (error) {
      if (!isBusy(error)) throw translated(error);
      if (performance.now() >= deadline) {
        throw new StoreUnavailableError("Another process holds the store.", { cause: error });
      }
    }
    await delay(Math.random() * ceiling);
  }
}

function isBusy(error: unknown): boolean {
  const code = primaryCode(error);
  return code === BUSY || code === LOCKED;
}

function translated(error: unknown): unknown {
  if (propertyOf(error, "code") === "ERR_INVALID_STATE") {
    return new StoreUnavailableError("The store is closed.", { cause: error });
  }
  if (!BROKEN.has(primaryCode(error))) return error;
  return new StoreUnavailableError("The store's file cannot be used.", { cause: error });
}

/** 0 when it is no error of SQLite's. */
function primaryCode(error: unknown): number {
  return Number(propertyOf(error, "errcode") ?? 0) & 0xff;
}

function propertyOf(error: unknown, key: "code" | "errcode"): unknown {
  return typeof error === "object" && error !== null ? Reflect.get(error, key) : undefined;
}
