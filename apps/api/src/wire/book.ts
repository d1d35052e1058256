import type { BookView, WholeBookView } from "@mythic/runs/cache";
import { z } from "zod";
import { failureSchema, timeSchema } from "./shared.ts";

export const bookSchema = z
  .object({
    id: z.string().meta({ example: "book_01kazr2wm0fz1tv6v9y3q4c5d6" }),
    status: z.enum(["stored", "parsing", "ready", "refused"]),
    format: z.enum(["epub", "text"]),
    file_name: z.string().nullable().meta({ description: "As the client named it; for people only." }),
    bytes: z.int(),
    sha256: z.string().meta({ description: "Of the file's bytes, in hexadecimal." }),
    title: z.string().nullable(),
    authors: z.array(z.string()),
    language: z.string().nullable().meta({ description: "BCP 47, as the book says." }),
    chapter_count: z.int().meta({ description: "0 until the book is ready." }),
    characters: z.int().meta({ description: "UTF-16 code units of all chapters together." }),
    warnings: z.array(z.string()).meta({ description: "What the reader had to work around." }),
    error: failureSchema.nullable().meta({ description: "Why the book was refused." }),
    created_at: timeSchema,
    ready_at: timeSchema.nullable(),
    revision: z.int().meta({ description: "Rises by one with every change." }),
    links: z.object({ self: z.string() }),
  })
  .meta({ id: "Book" });

const chapterSchema = z
  .object({
    id: z.string().meta({ example: "c0001" }),
    index: z.int().meta({ description: "From 0, in reading order." }),
    title: z.string(),
    path: z.array(z.string()).meta({ description: "Titles from the outermost part down to this chapter." }),
    kind: z.enum(["front", "body", "back"]),
    start: z.int().meta({ description: "Offset in the whole book, in UTF-16 code units." }),
    length: z.int().meta({ description: "In UTF-16 code units." }),
  })
  .meta({ id: "Chapter" });

export const wholeBookSchema = bookSchema
  .extend({ chapters: z.array(chapterSchema) })
  .meta({ id: "WholeBook", description: "A book with its chapters; there are none until it is ready." });

export function wireBook(book: BookView): z.infer<typeof bookSchema> {
  return {
    id: book.id,
    status: book.status,
    format: book.format,
    file_name: book.fileName,
    bytes: book.bytes,
    sha256: book.sha256,
    title: book.title,
    authors: [...book.authors],
    language: book.language,
    chapter_count: book.chapters,
    characters: book.characters,
    warnings: [...book.warnings],
    error: book.error && { code: book.error.code, detail: book.error.detail },
    created_at: book.createdAt,
    ready_at: book.readyAt,
    revision: book.revision,
    links: { self: `/books/${book.id}` },
  };
}

export function wireWholeBook({ book, chapters }: WholeBookView): z.infer<typeof wholeBookSchema> {
  return {
    ...wireBook(book),
    chapters: chapters.map((chapter) => ({ ...chapter, path: [...chapter.path] })),
  };
}
