import type { Book, Chapter, ChapterOutline, Failure, ParsedBook } from "../book.ts";
import { booksTag, bookTag } from "../cache-families.ts";
import type { BookStore, NewBook, Page, PageRequest } from "../store.ts";
import { announced } from "./announce.ts";
import type { RunCache } from "./open-caching.ts";

/**
 * Books whose changes are forgotten by the cache before their caller hears of them. Also when nothing was changed: then someone else
 * did it before, who may have been killed before they could say so.
 */
export class AnnouncingBooks implements BookStore {
  readonly #books: BookStore;
  readonly #cache: RunCache;

  constructor(books: BookStore, cache: RunCache) {
    this.#books = books;
    this.#cache = cache;
  }

  storeBytes(
    user: string,
    id: string,
    content: AsyncIterable<Uint8Array>,
  ): Promise<{ readonly bytes: number; readonly sha256: string }> {
    return this.#books.storeBytes(user, id, content);
  }

  removeBytes(user: string, id: string): Promise<void> {
    return this.#books.removeBytes(user, id);
  }

  readBytes(user: string, id: string): AsyncIterable<Uint8Array> {
    return this.#books.readBytes(user, id);
  }

  create(user: string, book: NewBook): Promise<{ readonly book: Book; readonly created: boolean }> {
    return this.#changed(this.#books.create(user, book), () => this.#forgetList(user));
  }

  get(user: string, id: string): Promise<Book | null> {
    return this.#books.get(user, id);
  }

  list(user: string, page: PageRequest): Promise<Page<Book>> {
    return this.#books.list(user, page);
  }

  bytesStored(user: string): Promise<number> {
    return this.#books.bytesStored(user);
  }

  markParsing(user: string, id: string): Promise<void> {
    return this.#changed(this.#books.markParsing(user, id), () => this.#forget(user, id));
  }

  /** Nobody is shown an edition before `markReady`. */
  saveChapters(user: string, id: string, edition: number, chapters: readonly Chapter[]): Promise<void> {
    return this.#books.saveChapters(user, id, edition, chapters);
  }

  markReady(user: string, id: string, edition: number, parsed: ParsedBook): Promise<boolean> {
    return this.#changed(this.#books.markReady(user, id, edition, parsed), () => this.#forget(user, id));
  }

  markRefused(user: string, id: string, error: Failure): Promise<boolean> {
    return this.#changed(this.#books.markRefused(user, id, error), () => this.#forget(user, id));
  }

  outlines(user: string, id: string): Promise<readonly ChapterOutline[]> {
    return this.#books.outlines(user, id);
  }

  chapter(user: string, id: string, index: number): Promise<Chapter | null> {
    return this.#books.chapter(user, id, index);
  }

  delete(user: string, id: string): Promise<boolean> {
    const results = () => this.#cache.deleteByTag({ user }, bookTag(user, id));
    return this.#changed(this.#books.delete(user, id), () =>
      Promise.all([this.#forget(user, id), results()]),
    );
  }

  #changed<Outcome>(write: Promise<Outcome>, forget: () => Promise<unknown>): Promise<Outcome> {
    return announced(write, forget, forget);
  }

  #forget(user: string, id: string): Promise<unknown> {
    return Promise.all([this.#cache.families.book.invalidate(user, id), this.#forgetList(user)]);
  }

  #forgetList(user: string): Promise<unknown> {
    return this.#cache.deleteByTag({ user }, booksTag(user));
  }
}
