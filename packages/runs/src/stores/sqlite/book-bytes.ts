import { createHash } from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Database } from "./database.ts";

/** A file is kept in rows of this size: one is written in about a millisecond, and read without holding the event loop. */
const PIECE_BYTES = 256 * 1024;
/** Rows removed in one transaction: 4 MB. */
const PIECES_AT_ONCE = 16;

export interface StoredBytes {
  readonly bytes: number;
  readonly sha256: string;
}

/** The bytes of uploaded files. */
export class BookBytes {
  readonly #database: Database;
  readonly #now: () => number;

  constructor(database: Database, now: () => number) {
    this.#database = database;
    this.#now = now;
  }

  async store(user: string, id: string, content: AsyncIterable<Uint8Array>): Promise<StoredBytes> {
    await this.remove(user, id);
    await this.#database.run(
      `INSERT INTO book_files (user, book_id, pieces, has_book, created_at)
       VALUES ($user, $id, NULL, EXISTS (SELECT 1 FROM books WHERE id = $id AND user = $user), $now)`,
      { user, id, now: this.#now() },
    );
    try {
      return await this.#writePieces(user, id, content);
    } catch (error) {
      // What cannot be removed now is collected as bytes without a book. The first error is the one to tell of.
      await this.remove(user, id).catch(() => undefined);
      throw error;
    }
  }

  async remove(user: string, id: string): Promise<void> {
    await this.#database.run("UPDATE book_files SET pieces = NULL WHERE user = $user AND book_id = $id", {
      user,
      id,
    });
    while ((await this.#removeSome(user, id)) === PIECES_AT_ONCE) await nextTurn();
    await this.#database.run("DELETE FROM book_files WHERE user = $user AND book_id = $id", { user, id });
  }

  async *read(user: string, id: string): AsyncGenerator<Uint8Array> {
    const file = await this.#database.read((statements) =>
      statements.get<{ pieces: number }>(
        `SELECT pieces FROM book_files WHERE user = $user AND book_id = $id AND pieces IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM books WHERE id = $id AND user = $user AND deleted_at IS NOT NULL)`,
        { user, id },
      ),
    );
    for (let piece = 0; piece < (file?.pieces ?? 0); piece++) {
      const row = await this.#database.read((statements) =>
        statements.get<{ data: Uint8Array }>(
          "SELECT data FROM book_pieces WHERE user = $user AND book_id = $id AND piece = $piece",
          { user, id, piece },
        ),
      );
      if (!row) throw new Error("The bytes were removed while they were read.");
      yield row.data;
      await nextTurn();
    }
  }

  async #writePieces(user: string, id: string, content: AsyncIterable<Uint8Array>): Promise<StoredBytes> {
    const hash = createHash("sha256");
    const buffer = Buffer.allocUnsafe(PIECE_BYTES);
    let bytes = 0;
    let filled = 0;
    let pieces = 0;
    const flush = async (): Promise<void> => {
      await this.#database.run(
        "INSERT INTO book_pieces (user, book_id, piece, data) VALUES ($user, $id, $piece, $data)",
        { user, id, piece: pieces, data: buffer.subarray(0, filled) },
      );
      pieces += 1;
      filled = 0;
    };
    for await (const chunk of content) {
      hash.update(chunk);
      bytes += chunk.length;
      for (let at = 0; at < chunk.length; ) {
        const part = chunk.subarray(at, at + PIECE_BYTES - filled);
        buffer.set(part, filled);
        filled += part.length;
        at += part.length;
        if (filled === PIECE_BYTES) await flush();
      }
    }
    if (filled > 0) await flush();
    await this.#database.run("UPDATE book_files SET pieces = $pieces WHERE user = $user AND book_id = $id", {
      user,
      id,
      pieces,
    });
    return { bytes, sha256: hash.digest("hex") };
  }

  async #removeSome(user: string, id: string): Promise<number> {
    return await this.#database.run(
      `DELETE FROM book_pieces WHERE rowid IN
         (SELECT rowid FROM book_pieces WHERE user = $user AND book_id = $id LIMIT ${PIECES_AT_ONCE})`,
      { user, id },
    );
  }
}
