import type { Advancer } from "./advancer.ts";
import type { Book } from "./book.ts";
import type { NewBook, Store } from "./store.ts";

export interface Submission {
  readonly store: Store;
  readonly advancer: Advancer;
}

/**
 * Makes a book of bytes that are stored under the same id, and starts its parsing. The same bytes of the same user give the
 * book that is there, and the new copy is removed.
 */
export async function submitBook(
  { store, advancer }: Submission,
  user: string,
  book: NewBook,
): Promise<{ readonly book: Book; readonly created: boolean }> {
  const made = await store.books.create(user, book);
  if (!made.created) await store.books.removeBytes(user, book.id);
  await advancer.advanceBook(user, made.book.id);
  return { book: (await store.books.get(user, made.book.id)) ?? made.book, created: made.created };
}
