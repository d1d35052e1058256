import { type Book, deleteBook, submitBook } from "@mythic/runs";
import { plain } from "@mythic/runs/cache";
import { notFound } from "../errors.ts";
import { cached } from "../found.ts";
import type { Answer } from "../send.ts";
import type { Upload } from "../upload.ts";
import { bookSchema, wholeBookSchema, wireBook, wireWholeBook } from "../wire/book.ts";
import { listSchema } from "../wire/shared.ts";
import { listAnswer } from "./list.ts";
import { bookPath, idempotencyHeader, pageQuery } from "./parameters.ts";
import { onceReceived } from "./receive.ts";
import { NOTHING, type Route, type Services, userRoute } from "./route.ts";

const NO_BOOKS = { items: [], next: null };
const JSON_BOOK = { "application/json": bookSchema };

/** Makes a book of a file that is in the store. */
export async function bookOfUpload(
  services: Services,
  user: string,
  { fields: _fields, ...upload }: Upload,
): Promise<{ readonly book: Book; readonly created: boolean }> {
  return await submitBook(services, user, upload);
}

const upload = userRoute(
  {
    method: "post",
    path: "/books",
    summary: "Upload a book",
    pathSchema: NOTHING,
    querySchema: NOTHING,
    headers: idempotencyHeader,
    request: {
      "multipart/form-data": { description: "The file in the field `file`." },
      "application/octet-stream": { description: "The file itself; its name in Content-Disposition." },
    },
    answers: {
      200: {
        description: "You have uploaded the same bytes before; this is their book.",
        content: JSON_BOOK,
      },
      201: { description: "The book. It is being read.", content: JSON_BOOK },
    },
    errors: [
      "malformed_multipart",
      "empty_file",
      "invalid_idempotency_key",
      "upload_timeout",
      "idempotency_in_progress",
      "too_large",
      "storage_full",
      "unsupported_format",
      "unsupported_media_type",
      "invalid_request",
      "missing_file",
      "idempotency_mismatch",
    ],
    limits: ["uploads", "writes"],
    hasDeadline: false,
  },
  (context) =>
    onceReceived(context, async (received) => async () => {
      const { book, created } = await bookOfUpload(context.services, context.user, received);
      context.record.fields.book_id = book.id;
      return {
        status: created ? 201 : 200,
        headers: { location: `/books/${book.id}` },
        json: wireBook(plain(book)),
      };
    }),
);

const list = userRoute(
  {
    method: "get",
    path: "/books/my",
    summary: "List your books, newest first",
    pathSchema: NOTHING,
    querySchema: pageQuery("book"),
    answers: {
      200: { description: "A page.", content: { "application/json": listSchema(bookSchema, "BookList") } },
    },
    errors: [],
  },
  async ({ services, user, query, record }) => {
    const finding = services.reads.books(user, { limit: query.limit, after: query.after ?? null });
    return listAnswer((await cached(record, finding)) ?? NO_BOOKS, wireBook, { path: "/books/my", query });
  },
);

const show = userRoute(
  {
    method: "get",
    path: "/books/:id",
    summary: "Show a book with its chapters",
    pathSchema: bookPath,
    querySchema: NOTHING,
    answers: { 200: { description: "The book.", content: { "application/json": wholeBookSchema } } },
    errors: [],
  },
  async ({ services, user, path, record }) => {
    record.fields.book_id = path.id;
    const whole = await cached(record, services.reads.book(user, path.id));
    if (!whole) throw notFound("book");
    return {
      status: 200,
      headers: { "cache-control": "private, no-cache" },
      json: wireWholeBook(whole),
    };
  },
);

const remove = userRoute(
  {
    method: "delete",
    path: "/books/:id",
    summary: "Delete a book and what was made of it",
    pathSchema: bookPath,
    querySchema: NOTHING,
    answers: {
      204: {
        description: "It is gone at once; its runs are cancelled, and the texts of answers about it erased.",
      },
    },
    errors: [],
  },
  async ({ services, user, path, record }): Promise<Answer> => {
    record.fields.book_id = path.id;
    if (!(await deleteBook(services, user, path.id))) throw notFound("book");
    return { status: 204 };
  },
);

export const BOOK_ROUTES: readonly Route[] = [upload, list, show, remove];
