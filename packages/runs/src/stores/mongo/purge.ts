import type { Collection } from "mongodb";
import { z } from "zod";
import type { Book } from "../../book.ts";
import { LIVE_RUN_STATUSES } from "../../run.ts";
import { MongoBookBytes, type UploadDocument, uploadsIn } from "./book-bytes.ts";
import { type BookDocument, booksIn, parseBook } from "./books.ts";
import { MongoChapters } from "./chapters.ts";
import type { Connection } from "./connection.ts";
import { MongoResults, resultIdsOf } from "./results.ts";
import { type RunDocument, runsIn } from "./runs.ts";
import { type StepDocument, stepsIn } from "./steps.ts";

/** Deleted books looked at in one call. */
const BOOKS = 1_000;
/** Steps removed at once, with their results. */
const STEPS = 200;
/** Uploads and tombstones collected in one call. */
const ORPHANS = 100;
/** Begins a range over all dates, for what is not null. */
const ANY_DATE = new Date(0);

/** Removes what nobody can see any more. Every part of it may stop anywhere and begins again where it was. */
export class MongoPurge {
  readonly #connection: Connection;
  readonly #books: Collection<BookDocument>;
  readonly #runs: Collection<RunDocument>;
  readonly #steps: Collection<StepDocument>;
  readonly #uploads: Collection<UploadDocument>;
  readonly #bytes: MongoBookBytes;
  readonly #chapters: MongoChapters;
  readonly #results: MongoResults;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#books = booksIn(connection);
    this.#runs = runsIn(connection);
    this.#steps = stepsIn(connection);
    this.#uploads = uploadsIn(connection);
    this.#bytes = new MongoBookBytes(connection);
    this.#chapters = new MongoChapters(connection);
    this.#results = new MongoResults(connection);
  }

  async deletedBooks(limit: number): Promise<readonly Book[]> {
    const { books, busy } = await this.#deleted();
    return books.filter((book) => busy.has(book.id)).slice(0, limit);
  }

  /**
   * What is left of a purged book is its own row, for as long as orphans are kept: a worker that lost its claim may still
   * write chapters, and by that row they are found.
   */
  async purgeDeleted(limit: number): Promise<number> {
    const { books, busy } = await this.#deleted();
    const idle = books.filter((book) => !busy.has(book.id)).slice(0, limit);
    for (const book of idle) {
      await this.#removeRows(book);
      const purgedAt = this.#connection.now();
      await this.#connection.run(() => this.#books.updateOne({ _id: book.id }, { $set: { purgedAt } }));
    }
    return idle.length;
  }

  async collectOrphans(olderThanMs: number): Promise<number> {
    const before = this.#connection.ago(olderThanMs);
    const uploads = await this.#connection.run((options) =>
      this.#uploads
        .find({ startedAt: { $lt: before } }, options)
        .limit(ORPHANS)
        .toArray(),
    );
    let files = 0;
    for (const upload of uploads) {
      if (await this.#collectUpload(upload)) files += 1;
    }
    await this.#forgetPurged(before);
    return files;
  }

  /** Deleted books that still have rows, and which of them a run is still at work on. */
  async #deleted(): Promise<{ readonly books: readonly Book[]; readonly busy: ReadonlySet<string> }> {
    const found = await this.#connection.run((options) =>
      this.#books
        .find(
          { deletedAt: { $gte: ANY_DATE }, purgedAt: { $exists: false } },
          { ...options, batchSize: BOOKS },
        )
        .sort({ deletedAt: 1, _id: 1 })
        .limit(BOOKS)
        .toArray(),
    );
    const books = found.map(parseBook);
    if (books.length === 0) return { books, busy: new Set() };
    const ids = books.map((book) => book.id);
    const busy = await this.#connection.run(() =>
      this.#runs.distinct("bookId", { bookId: { $in: ids }, status: { $in: [...LIVE_RUN_STATUSES] } }),
    );
    return { books, busy: new Set(z.array(z.string()).parse(busy)) };
  }

  async #removeRows({ user, id }: Pick<Book, "user" | "id">): Promise<void> {
    for (;;) {
      const steps = await this.#connection.run((options) =>
        this.#steps
          .find({ bookId: id, user }, { ...options, projection: { fence: 1 } })
          .limit(STEPS)
          .toArray(),
      );
      if (steps.length === 0) break;
      await this.#results.remove(steps.flatMap(resultIdsOf));
      const ids = steps.map((step) => step._id);
      await this.#connection.run(() => this.#steps.deleteMany({ _id: { $in: ids } }));
    }
    await this.#chapters.removeAll(user, id);
    await this.#bytes.remove(user, id);
  }

  /** Answers whether a file was removed. */
  async #collectUpload({ user, bookId }: UploadDocument): Promise<boolean> {
    const book = await this.#connection.run((options) =>
      this.#books.findOne({ _id: bookId, user }, { ...options, projection: { _id: 1 } }),
    );
    if (!book) return await this.#bytes.remove(user, bookId);
    await this.#bytes.keep(user, bookId);
    return false;
  }

  async #forgetPurged(before: Date): Promise<void> {
    const purged = await this.#connection.run((options) =>
      this.#books
        .find({ deletedAt: { $gte: ANY_DATE }, purgedAt: { $lt: before } }, options)
        .limit(ORPHANS)
        .toArray(),
    );
    for (const { _id, user } of purged) {
      await this.#removeRows({ id: _id, user });
      await this.#connection.run(() => this.#books.deleteOne({ _id }));
    }
  }
}
