import type { Book, BookFormat, BookStatus } from "../../book.ts";
import { date, dateOrNull, fromJson, fromJsonOrNull } from "./columns.ts";

/** A row of `books`. */
export interface BookRow {
  readonly id: string;
  readonly user: string;
  readonly status: BookStatus;
  readonly sha256: string;
  readonly bytes: number;
  readonly format: BookFormat;
  readonly file_name: string | null;
  readonly title: string | null;
  readonly authors: string;
  readonly language: string | null;
  readonly chapters: number;
  readonly characters: number;
  readonly edition: number | null;
  readonly error: string | null;
  readonly created_at: number;
  readonly ready_at: number | null;
  readonly deleted_at: number | null;
  readonly revision: number;
  readonly warnings: string;
}

export function bookOf(row: BookRow): Book {
  return {
    id: row.id,
    user: row.user,
    status: row.status,
    sha256: row.sha256,
    bytes: row.bytes,
    format: row.format,
    fileName: row.file_name,
    title: row.title,
    authors: fromJson(row.authors),
    language: row.language,
    chapters: row.chapters,
    characters: row.characters,
    warnings: fromJson(row.warnings),
    edition: row.edition,
    error: fromJsonOrNull(row.error),
    createdAt: date(row.created_at),
    readyAt: dateOrNull(row.ready_at),
    deletedAt: dateOrNull(row.deleted_at),
    revision: row.revision,
  };
}
