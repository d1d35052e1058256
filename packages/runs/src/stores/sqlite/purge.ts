import { setImmediate as nextTurn } from "node:timers/promises";
import { BookBytes } from "./book-bytes.ts";
import type { Database } from "./database.ts";

/** Rows of one transaction: a chapter may be megabytes, a step is a few hundred bytes. */
const CHAPTERS_AT_ONCE = 20;
const STEPS_AT_ONCE = 200;
/** Uploads removed in one call. */
const ORPHANS_AT_ONCE = 100;

/** Deleted books with a live run wait: the run is cancelled first. */
const PURGEABLE = `SELECT id, user FROM books WHERE deleted_at IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM runs WHERE book_id = books.id AND status IN ('queued', 'running', 'cancelling'))
  ORDER BY id LIMIT $limit`;

interface Owned {
  readonly id: string;
  readonly user: string;
}

/** Removes what nobody can see any more, in transactions so small that others get in between. */
export class Purge {
  readonly #database: Database;
  readonly #bytes: BookBytes;

  constructor(database: Database, now: () => number) {
    this.#database = database;
    this.#bytes = new BookBytes(database, now);
  }

  /** Answers how many books are gone entirely. */
  async deletedBooks(limit: number): Promise<number> {
    const books = await this.#database.read((statements) => statements.all<Owned>(PURGEABLE, { limit }));
    for (const { id, user } of books) {
      await this.#bytes.remove(user, id);
      await this.#removeChapters(id);
      await this.#removeSteps(id);
      // The row goes last: as long as it is there, whatever was cut short is taken up again.
      await this.#database.run("DELETE FROM books WHERE id = $id AND deleted_at IS NOT NULL", { id });
    }
    return books.length;
  }

  /** Uploads that never became a book. Answers how many. */
  async orphans(olderThan: number): Promise<number> {
    const files = await this.#database.read((statements) =>
      statements.all<Owned>(
        "SELECT book_id AS id, user FROM book_files WHERE has_book = 0 AND created_at < $olderThan LIMIT $limit",
        { olderThan, limit: ORPHANS_AT_ONCE },
      ),
    );
    for (const { id, user } of files) await this.#bytes.remove(user, id);
    return files.length;
  }

  async #removeChapters(bookId: string): Promise<void> {
    const some = `DELETE FROM chapters WHERE rowid IN
      (SELECT rowid FROM chapters WHERE book_id = $bookId LIMIT ${CHAPTERS_AT_ONCE})`;
    while ((await this.#database.run(some, { bookId })) === CHAPTERS_AT_ONCE) await nextTurn();
  }

  async #removeSteps(bookId: string): Promise<void> {
    const some = `FROM steps WHERE book_id = $bookId ORDER BY rowid LIMIT ${STEPS_AT_ONCE}`;
    for (let removed = STEPS_AT_ONCE; removed === STEPS_AT_ONCE; await nextTurn()) {
      removed = await this.#database.write((statements) => {
        statements.run(`DELETE FROM results WHERE id IN (SELECT result_id ${some})`, { bookId });
        return statements.run(`DELETE FROM steps WHERE rowid IN (SELECT rowid ${some})`, { bookId });
      });
    }
  }
}
