import type { Book, Chapter, ChapterOutline, Failure, ParsedBook } from "../../book.ts";
import type { BookStore, NewBook, Page, PageRequest } from "../../store.ts";
import { BookBytes, type StoredBytes } from "./book-bytes.ts";
import { type BookRow, bookOf } from "./book-rows.ts";
import { Chapters } from "./chapters.ts";
import { toJson } from "./columns.ts";
import type { Database } from "./database.ts";
import { pageOf } from "./pages.ts";

const VISIBLE = "id = $id AND user = $user AND deleted_at IS NULL";
const UNPARSED = "status IN ('stored', 'parsing')";

export class SqliteBooks implements BookStore {
  readonly #database: Database;
  readonly #now: () => number;
  readonly #bytes: BookBytes;
  readonly #chapters: Chapters;

  constructor(database: Database, now: () => number) {
    this.#database = database;
    this.#now = now;
    this.#bytes = new BookBytes(database, now);
    this.#chapters = new Chapters(database);
  }

  async storeBytes(user: string, id: string, content: AsyncIterable<Uint8Array>): Promise<StoredBytes> {
    return await this.#bytes.store(user, id, content);
  }

  async removeBytes(user: string, id: string): Promise<void> {
    await this.#bytes.remove(user, id);
  }

  readBytes(user: string, id: string): AsyncIterable<Uint8Array> {
    return this.#bytes.read(user, id);
  }

  async create(user: string, book: NewBook): Promise<{ readonly book: Book; readonly created: boolean }> {
    const now = this.#now();
    return await this.#database.write((statements) => {
      const same = statements.get<BookRow>(
        "SELECT * FROM books WHERE user = $user AND sha256 = $sha256 AND deleted_at IS NULL",
        { user, sha256: book.sha256 },
      );
      if (same) return { book: bookOf(same), created: false };
      const row = statements.get<BookRow>(
        `INSERT INTO books (id, user, status, sha256, bytes, format, file_name, authors, chapters, characters, warnings,
           created_at, revision)
         VALUES ($id, $user, 'stored', $sha256, $bytes, $format, $fileName, '[]', 0, 0, '[]', $now, 1) RETURNING *`,
        { ...book, user, now },
      ) as BookRow;
      statements.run("UPDATE book_files SET has_book = 1 WHERE user = $user AND book_id = $id", {
        user,
        id: book.id,
      });
      return { book: bookOf(row), created: true };
    });
  }

  async get(user: string, id: string): Promise<Book | null> {
    const row = await this.#database.read((statements) =>
      statements.get<BookRow>(`SELECT * FROM books WHERE ${VISIBLE}`, { user, id }),
    );
    return row ? bookOf(row) : null;
  }

  async list(user: string, page: PageRequest): Promise<Page<Book>> {
    const rows = await this.#database.read((statements) =>
      statements.all<BookRow>(
        `SELECT * FROM books WHERE user = $user AND deleted_at IS NULL ${page.after === null ? "" : "AND id < $after"}
         ORDER BY id DESC LIMIT $limit`,
        { user, limit: page.limit + 1, ...(page.after === null ? {} : { after: page.after }) },
      ),
    );
    return pageOf(rows.map(bookOf), page.limit);
  }

  async bytesStored(user: string): Promise<number> {
    const row = await this.#database.read((statements) =>
      statements.get<{ bytes: number }>(
        "SELECT coalesce(sum(bytes), 0) AS bytes FROM books WHERE user = $user AND deleted_at IS NULL",
        { user },
      ),
    );
    return row?.bytes ?? 0;
  }

  async markParsing(user: string, id: string): Promise<void> {
    await this.#database.run(
      `UPDATE books SET status = 'parsing', revision = revision + 1 WHERE ${VISIBLE} AND status = 'stored'`,
      { user, id },
    );
  }

  async saveChapters(user: string, id: string, edition: number, chapters: readonly Chapter[]): Promise<void> {
    await this.#chapters.save(user, id, edition, chapters);
  }

  async markReady(user: string, id: string, edition: number, parsed: ParsedBook): Promise<boolean> {
    const { title, language, chapters, characters } = parsed;
    const values = {
      ...{ user, id, edition, title, language, chapters, characters, now: this.#now() },
      authors: toJson(parsed.authors),
      warnings: toJson(parsed.warnings),
    };
    return await this.#database.write((statements) => {
      const changed = statements.run(
        `UPDATE books SET status = 'ready', edition = $edition, title = $title, authors = $authors,
           language = $language, warnings = $warnings, chapters = $chapters, characters = $characters,
           ready_at = $now, revision = revision + 1
         WHERE ${VISIBLE} AND ${UNPARSED}`,
        values,
      );
      if (changed > 0) {
        statements.run("DELETE FROM chapters WHERE book_id = $id AND edition <> $edition", { id, edition });
      }
      return changed > 0;
    });
  }

  async markRefused(user: string, id: string, error: Failure): Promise<boolean> {
    return await this.#database.write((statements) => {
      const changed = statements.run(
        `UPDATE books SET status = 'refused', error = $error, revision = revision + 1 WHERE ${VISIBLE} AND ${UNPARSED}`,
        { user, id, error: toJson(error) },
      );
      if (changed > 0) statements.run("DELETE FROM chapters WHERE book_id = $id", { id });
      return changed > 0;
    });
  }

  async outlines(user: string, id: string): Promise<readonly ChapterOutline[]> {
    return await this.#chapters.outlines(user, id);
  }

  async chapter(user: string, id: string, index: number): Promise<Chapter | null> {
    return await this.#chapters.get(user, id, index);
  }

  async delete(user: string, id: string): Promise<boolean> {
    const changed = await this.#database.run(
      `UPDATE books SET deleted_at = $now, revision = revision + 1 WHERE ${VISIBLE}`,
      { user, id, now: this.#now() },
    );
    return changed > 0;
  }
}
