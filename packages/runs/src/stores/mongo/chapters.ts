import type { AnyBulkWriteOperation, Collection } from "mongodb";
import { z } from "zod";
import type { Chapter, ChapterOutline } from "../../book.ts";
import { type Connection, is } from "./connection.ts";

/** One message to the server: documents, and UTF-16 units of text (at most 3 bytes each; the server takes 48 MB). */
const BATCH_DOCUMENTS = 500;
const BATCH_UNITS = 2_500_000;
/** UTF-16 units of text in one document, which must stay below 16 MB. */
const PART_UNITS = 2_000_000;

const outlineFields = {
  id: z.string(),
  index: z.number(),
  title: z.string(),
  path: z.array(z.string()),
  kind: z.enum(["front", "body", "back"]),
  start: z.number(),
  length: z.number(),
};

const outlineSchema: z.ZodType<ChapterOutline> = z.object(outlineFields);

const firstPartSchema = z.object({
  chapter: z.object(outlineFields),
  notes: z.array(z.string()),
  parts: z.number(),
});

const textSchema = z.object({ part: z.number(), text: z.string() });

/** A chapter, or a further part of the text of a long one. */
export interface ChapterDocument {
  /** `<book>.e<edition>.<index>`, `.p<part>` after it from the second part on. */
  readonly _id: string;
  readonly user: string;
  readonly bookId: string;
  readonly edition: number;
  readonly index: number;
  /** 0-based. */
  readonly part: number;
  readonly text: string;
  /** Of the first part. */
  readonly chapter?: ChapterOutline;
  readonly notes?: readonly string[];
  /** How many parts count: more may be left of an earlier, longer write. */
  readonly parts?: number;
}

/** The edition of a book that counts. */
export interface Edition {
  readonly user: string;
  readonly bookId: string;
  readonly edition: number;
}

function chaptersIn(connection: Connection): Collection<ChapterDocument> {
  return connection.db.collection<ChapterDocument>("chapters");
}

export class MongoChapters {
  readonly #connection: Connection;
  readonly #chapters: Collection<ChapterDocument>;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#chapters = chaptersIn(connection);
  }

  async save(of: Edition, chapters: readonly Chapter[]): Promise<void> {
    let batch: AnyBulkWriteOperation<ChapterDocument>[] = [];
    let units = 0;
    const flush = async (): Promise<void> => {
      const operations = batch;
      batch = [];
      units = 0;
      if (operations.length === 0) return;
      await this.#connection.run(() => this.#chapters.bulkWrite(operations, { ordered: false }));
    };
    for (const chapter of chapters) {
      for (const { _id, ...fields } of documentsOf(of, chapter)) {
        const more = fields.text.length + (fields.notes?.join("").length ?? 0);
        if (batch.length === BATCH_DOCUMENTS || units + more > BATCH_UNITS) await flush();
        batch.push({ replaceOne: { filter: { _id }, replacement: fields, upsert: true } });
        units += more;
      }
    }
    await flush();
  }

  /** In reading order. */
  async outlines(of: Edition): Promise<readonly ChapterOutline[]> {
    const found = await this.#connection.run((options) =>
      this.#chapters
        .find({ ...filterOf(of), part: 0 }, { ...options, projection: { chapter: 1 }, batchSize: 10_000 })
        .sort({ index: 1 })
        .toArray(),
    );
    return found.map((document) => outlineSchema.parse(document.chapter));
  }

  async get(of: Edition, index: number): Promise<Chapter | null> {
    const found = await this.#connection.run((options) =>
      this.#chapters
        .find({ ...filterOf(of), index: is(index) }, options)
        .sort({ part: 1 })
        .toArray(),
    );
    const [first] = found;
    if (!first) return null;
    const { chapter, notes, parts } = firstPartSchema.parse(first);
    const texts = found.map((document) => textSchema.parse(document)).filter(({ part }) => part < parts);
    return { ...chapter, text: texts.map(({ text }) => text).join(""), notes };
  }

  /** Every edition of a book. */
  async removeAll(user: string, bookId: string): Promise<void> {
    await this.#connection.run(() => this.#chapters.deleteMany({ bookId: is(bookId), user: is(user) }));
  }

  /** What claims before the one that counts have written. */
  async removeOlder({ user, bookId, edition }: Edition): Promise<void> {
    await this.#connection.run(() =>
      this.#chapters.deleteMany({ bookId: is(bookId), user: is(user), edition: { $lt: edition } }),
    );
  }
}

function filterOf({ user, bookId, edition }: Edition): {
  bookId: { $eq: string };
  user: { $eq: string };
  edition: { $eq: number };
} {
  return { bookId: is(bookId), user: is(user), edition: is(edition) };
}

function documentsOf({ user, bookId, edition }: Edition, chapter: Chapter): ChapterDocument[] {
  const { text, notes, ...outline } = chapter;
  const { index } = chapter;
  const texts = partsOf(text);
  return texts.map((partText, part) => ({
    _id: `${bookId}.e${edition}.${index}${part === 0 ? "" : `.p${part}`}`,
    ...{ user, bookId, edition, index, part, text: partText },
    ...(part === 0 ? { chapter: outline, notes, parts: texts.length } : {}),
  }));
}

/** Cuts between characters: half of a surrogate pair cannot be stored as UTF-8. */
function partsOf(text: string): string[] {
  const parts: string[] = [];
  for (let at = 0; at < text.length || parts.length === 0; ) {
    let end = Math.min(text.length, at + PART_UNITS);
    if (end < text.length && isHighSurrogate(text.charCodeAt(end - 1))) end -= 1;
    parts.push(text.slice(at, end));
    at = end;
  }
  return parts;
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}
