import { createHash } from "node:crypto";
import { Binary, type Collection, type ObjectId } from "mongodb";
import { z } from "zod";
import { StoreUnavailableError } from "../../store.ts";
import { type Connection, is } from "./connection.ts";

/** GridFS' own default, in bytes. */
const CHUNK_BYTES = 255 * 1024;
/** Chunks that one message carries. */
const CHUNKS_AT_ONCE = 8;

const fileSchema = z.object({
  _id: z.string(),
  length: z.number(),
  chunkSize: z.number(),
});

interface FileDocument {
  readonly _id: string;
  readonly length: number;
  readonly chunkSize: number;
  readonly uploadDate: Date;
  /** Id of the book. */
  readonly filename: string;
  readonly metadata: { readonly user: string; readonly sha256: string };
}

interface ChunkDocument {
  readonly _id?: ObjectId;
  readonly files_id: string;
  readonly n: number;
  readonly data: Binary;
}

/** An upload that began and is not a book's yet, as far as is known. */
export interface UploadDocument {
  /** The file's id. */
  readonly _id: string;
  readonly user: string;
  readonly bookId: string;
  readonly startedAt: Date;
}

function filesIn(connection: Connection): Collection<FileDocument> {
  return connection.db.collection<FileDocument>("files.files");
}

function fileChunksIn(connection: Connection): Collection<ChunkDocument> {
  return connection.db.collection<ChunkDocument>("files.chunks");
}

export function uploadsIn(connection: Connection): Collection<UploadDocument> {
  return connection.db.collection<UploadDocument>("uploads");
}

/**
 * Files in the layout of GridFS, bucket `files`, so that any tool can read them. Written here and not by the driver's
 * streams, of which a frozen server makes one wait for ever. A row in `uploads` comes before the first chunk and goes when
 * the book is made, so that what was left can be found without looking through all files.
 */
export class MongoBookBytes {
  readonly #connection: Connection;
  readonly #files: Collection<FileDocument>;
  readonly #chunks: Collection<ChunkDocument>;
  readonly #uploads: Collection<UploadDocument>;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#files = filesIn(connection);
    this.#chunks = fileChunksIn(connection);
    this.#uploads = uploadsIn(connection);
  }

  async store(
    user: string,
    bookId: string,
    content: AsyncIterable<Uint8Array>,
  ): Promise<{ readonly bytes: number; readonly sha256: string }> {
    const _id = fileId(user, bookId);
    const startedAt = this.#connection.now();
    await this.#connection.run(() =>
      this.#uploads.updateOne({ _id }, { $set: { user, bookId, startedAt } }, { upsert: true }),
    );
    try {
      const stored = await this.#write(_id, content);
      const file: FileDocument = {
        ...{ _id, length: stored.bytes, chunkSize: CHUNK_BYTES, uploadDate: startedAt, filename: bookId },
        metadata: { user, sha256: stored.sha256 },
      };
      // Last, since there is no file before it: half of one cannot be read.
      await this.#connection.run(() => this.#files.insertOne(file));
      return stored;
    } catch (error) {
      await this.#giveUp(user, bookId, error);
      throw error;
    }
  }

  /** Answers whether there were any. */
  async remove(user: string, bookId: string): Promise<boolean> {
    const _id = fileId(user, bookId);
    const file = await this.#connection.run(() => this.#files.deleteOne({ _id }));
    const chunks = await this.#connection.run(() => this.#chunks.deleteMany({ files_id: _id }));
    await this.keep(user, bookId);
    return file.deletedCount + chunks.deletedCount > 0;
  }

  /** The file belongs to a book from now on, or there is none. */
  async keep(user: string, bookId: string): Promise<void> {
    await this.#connection.run(() => this.#uploads.deleteOne({ _id: fileId(user, bookId) }));
  }

  async *read(user: string, bookId: string): AsyncGenerator<Uint8Array> {
    const _id = fileId(user, bookId);
    const found = await this.#connection.run((options) => this.#files.findOne({ _id: is(_id) }, options));
    if (!found) return;
    const { length, chunkSize } = fileSchema.parse(found);
    const chunks = Math.ceil(length / chunkSize);
    for (let at = 0; at < chunks; at += CHUNKS_AT_ONCE) {
      const some = await this.#connection.run((options) =>
        this.#chunks
          .find({ files_id: _id, n: { $gte: at, $lt: at + CHUNKS_AT_ONCE } }, options)
          .sort({ n: 1 })
          .toArray(),
      );
      if (some.length !== Math.min(CHUNKS_AT_ONCE, chunks - at))
        throw new Error("A part of a file is missing.");
      for (const chunk of some) yield chunk.data.value();
    }
  }

  /** What cannot be removed now is collected later; the caller is to hear of the first error, and soon. */
  async #giveUp(user: string, bookId: string, error: unknown): Promise<void> {
    if (error instanceof StoreUnavailableError) return;
    try {
      await this.remove(user, bookId);
    } catch (second) {
      if (!(second instanceof StoreUnavailableError)) throw second;
    }
  }

  async #write(
    fileId: string,
    content: AsyncIterable<Uint8Array>,
  ): Promise<{ readonly bytes: number; readonly sha256: string }> {
    const hash = createHash("sha256");
    let bytes = 0;
    let n = 0;
    let waiting: ChunkDocument[] = [];
    const flush = async (): Promise<void> => {
      const documents = waiting;
      waiting = [];
      if (documents.length > 0) await this.#connection.run(() => this.#chunks.insertMany(documents));
    };
    for await (const data of chunked(content, CHUNK_BYTES)) {
      hash.update(data);
      bytes += data.length;
      waiting.push({ files_id: fileId, n, data: new Binary(data) });
      n += 1;
      if (waiting.length === CHUNKS_AT_ONCE) await flush();
    }
    await flush();
    return { bytes, sha256: hash.digest("hex") };
  }
}

/** The same bytes in buffers of `size`, but for the last. */
async function* chunked(content: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Buffer> {
  let buffer = Buffer.allocUnsafe(size);
  let filled = 0;
  for await (const piece of content) {
    for (let at = 0; at < piece.length; ) {
      const part = piece.subarray(at, at + size - filled);
      buffer.set(part, filled);
      at += part.length;
      filled += part.length;
      if (filled === size) {
        yield buffer;
        buffer = Buffer.allocUnsafe(size);
        filled = 0;
      }
    }
  }
  if (filled > 0) yield buffer.subarray(0, filled);
}

/** Users keep apart whatever ids they name. */
function fileId(user: string, bookId: string): string {
  return JSON.stringify([user, bookId]);
}
