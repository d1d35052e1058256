import type { Collection } from "mongodb";
import { z } from "zod";
import type { Book, Chapter, ChapterOutline, Failure, ParsedBook } from "../../book.ts";
import { bookSchema } from "../../schemas.ts";
import type { BookStore, NewBook, Page, PageRequest } from "../../store.ts";
import { MongoBookBytes } from "./book-bytes.ts";
import { type Edition, MongoChapters } from "./chapters.ts";
import { type Connection, is, isDuplicate } from "./connection.ts";
import { fromStored, pageOf, type Stored, toStored } from "./stored.ts";

export interface BookDocument extends Stored<Book> {
  /** User and hash of a book that is not deleted; unique. Absent from the deletion on. */
  readonly activeKey?: string;
  /** When all that belonged to the deleted book was removed. Absent until then. */
  readonly purgedAt?: Date;
}

/** Rounds against others who make and delete the same book at the same moment. */
const MAX_ROUNDS = 5;
/** Begins a range over all dates, for what is not null. */
const ANY_DATE = new Date(0);

const schema: z.ZodType<Book> = bookSchema(z.date());

const sumSchema = z.object({ bytes: z.number() });

export function booksIn(connection: Connection): Collection<BookDocument> {
  return connection.db.collection<BookDocument>("books");
}

export function parseBook({ activeKey: _active, purgedAt: _purged, ...document }: BookDocument): Book {
  return schema.parse(fromStored(document));
}

export class MongoBooks implements BookStore {
  readonly #connection: Connection;
  readonly #books: Collection<BookDocument>;
  readonly #bytes: MongoBookBytes;
  readonly #chapters: MongoChapters;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#books = booksIn(connection);
    this.#bytes = new MongoBookBytes(connection);
    this.#chapters = new MongoChapters(connection);
  }

  storeBytes(
    user: string,
    id: string,
    content: AsyncIterable<Uint8Array>,
  ): Promise<{ readonly bytes: number; readonly sha256: string }> {
    return this.#bytes.store(user, id, content);
  }

  async removeBytes(user: string, id: string): Promise<void> {
    await this.#bytes.remove(user, id);
  }

  async *readBytes(user: string, id: string): AsyncGenerator<Uint8Array> {
    const deleted = await this.#connection.run((options) =>
      this.#books.findOne(
        { _id: is(id), user: is(user), deletedAt: { $gte: ANY_DATE } },
        { ...options, projection: { _id: 1 } },
      ),
    );
    if (!deleted) yield* this.#bytes.read(user, id);
  }

  async create(user: string, book: NewBook): Promise<{ readonly book: Book; readonly created: boolean }> {
    const activeKey = `${user}.${book.sha256}`;
    const document = { ...toStored(freshBook(user, book, this.#connection.now())), activeKey };
    for (let round = 0; round < MAX_ROUNDS; round++) {
      if (await this.#insert(document)) {
        await this.#bytes.keep(user, book.id);
        return { book: parseBook(document), created: true };
      }
      const there = await this.#connection.run((options) =>
        this.#books.findOne({ activeKey: is(activeKey), user: is(user) }, options),
      );
      // Under its own id it is this very book, made by an attempt of which nobody heard.
      if (there) return { book: parseBook(there), created: there._id === book.id };
    }
    throw new Error("A book cannot be made, as another one has its id.");
  }

  async get(user: string, id: string): Promise<Book | null> {
    const found = await this.#connection.run((options) =>
      this.#books.findOne({ _id: is(id), user: is(user), deletedAt: null }, options),
    );
    return found && parseBook(found);
  }

  async list(user: string, { limit, after }: PageRequest): Promise<Page<Book>> {
    const found = await this.#connection.run((options) =>
      this.#books
        .find(
          { user: is(user), deletedAt: null, ...(after === null ? {} : { _id: { $lt: after } }) },
          options,
        )
        .sort({ _id: -1 })
        .limit(limit + 1)
        .toArray(),
    );
    return pageOf(found.map(parseBook), limit);
  }

  async bytesStored(user: string): Promise<number> {
    const [sum] = await this.#connection.run((options) =>
      this.#books
        .aggregate(
          [
            { $match: { user: is(user), deletedAt: null } },
            { $group: { _id: null, bytes: { $sum: "$bytes" } } },
          ],
          options,
        )
        .toArray(),
    );
    return sum ? sumSchema.parse(sum).bytes : 0;
  }

  async markParsing(user: string, id: string): Promise<void> {
    const filter = { _id: is(id), user: is(user), deletedAt: null, status: "stored" as const };
    const update = { $set: { status: "parsing" as const }, $inc: { revision: 1 } };
    await this.#connection.run(() => this.#books.updateOne(filter, update));
  }

  async saveChapters(user: string, id: string, edition: number, chapters: readonly Chapter[]): Promise<void> {
    // The worker of a book that was deleted meanwhile writes to nobody.
    if (await this.get(user, id)) await this.#chapters.save({ user, bookId: id, edition }, chapters);
  }

  async markReady(user: string, id: string, edition: number, parsed: ParsedBook): Promise<boolean> {
    const { title, authors, language, warnings, chapters, characters } = parsed;
    const known = { title, authors, language, warnings, chapters, characters };
    const readyAt = this.#connection.now();
    const ready = await this.#endParsing(user, id, { ...known, status: "ready", edition, readyAt });
    if (ready) await this.#chapters.removeOlder({ user, bookId: id, edition });
    return ready;
  }

  markRefused(user: string, id: string, error: Failure): Promise<boolean> {
    return this.#endParsing(user, id, { status: "refused", error });
  }

  async outlines(user: string, id: string): Promise<readonly ChapterOutline[]> {
    const edition = await this.#editionOf(user, id);
    return edition ? this.#chapters.outlines(edition) : [];
  }

  async chapter(user: string, id: string, index: number): Promise<Chapter | null> {
    const edition = await this.#editionOf(user, id);
    return edition && this.#chapters.get(edition, index);
  }

  async delete(user: string, id: string): Promise<boolean> {
    const { matchedCount } = await this.#connection.run(() =>
      this.#books.updateOne(
        { _id: is(id), user: is(user), deletedAt: null },
        {
          $set: { deletedAt: this.#connection.now() },
          $unset: { activeKey: "" },
          $inc: { revision: 1 },
        },
      ),
    );
    return matchedCount === 1;
  }

  async #insert(document: BookDocument): Promise<boolean> {
    try {
      await this.#connection.run(() => this.#books.insertOne(document));
      return true;
    } catch (error) {
      if (isDuplicate(error)) return false;
      throw error;
    }
  }

  async #endParsing(user: string, id: string, change: Partial<Stored<Book>>): Promise<boolean> {
    const { matchedCount } = await this.#connection.run(() =>
      this.#books.updateOne(
        { _id: is(id), user: is(user), deletedAt: null, status: { $in: ["stored", "parsing"] } },
        { $set: change, $inc: { revision: 1 } },
      ),
    );
    return matchedCount === 1;
  }

  async #editionOf(user: string, id: string): Promise<Edition | null> {
    const book = await this.get(user, id);
    if (book?.status !== "ready" || book.edition === null) return null;
    return { user, bookId: id, edition: book.edition };
  }
}

function freshBook(user: string, { id, sha256, bytes, format, fileName }: NewBook, createdAt: Date): Book {
  return {
    ...{ id, user, sha256, bytes, format, fileName, createdAt },
    status: "stored",
    title: null,
    authors: [],
    language: null,
    chapters: 0,
    characters: 0,
    warnings: [],
    edition: null,
    error: null,
    readyAt: null,
    deletedAt: null,
    revision: 1,
  };
}
