import { type ChapterPage, readResult } from "../read-result.ts";
import { isTerminal } from "../run.ts";
import type { PageRequest, Store } from "../store.ts";
import { type Found, find } from "./find.ts";
import type { RunCache } from "./open-caching.ts";
import {
  type BookPageView,
  type KeyView,
  plain,
  type ResultView,
  type RunView,
  type WholeBookView,
} from "./views.ts";

/** What shows a book on its way changes soon, and who changes it may be killed before they can say so. */
const ON_ITS_WAY_MS = 30_000;

/**
 * What the API shows, from the cache where it is there, else from the store. Whoever decides about a run (claims, advancing, whether a
 * step is still wanted) reads the store itself.
 */
export class Reads {
  readonly #store: Store;
  readonly #cache: RunCache | null;

  /** Without a cache everything comes from the store. */
  constructor(store: Store, cache: RunCache | null) {
    this.#store = store;
    this.#cache = cache;
  }

  run(user: string, id: string): Promise<Found<RunView>> {
    return find(this.#cache?.families.runStatus, [user, id], async () =>
      plain(await this.#store.runs.get(user, id)),
    );
  }

  books(user: string, page: PageRequest): Promise<Found<BookPageView>> {
    return find(this.#cache?.families.bookList, [user, page], async (notes) => {
      const list = await this.#store.books.list(user, page);
      if (list.items.some(({ status }) => status === "stored" || status === "parsing")) {
        notes.setTtl(ON_ITS_WAY_MS);
      }
      return plain(list);
    });
  }

  /** A book with its chapters. */
  book(user: string, id: string): Promise<Found<WholeBookView>> {
    return find(this.#cache?.families.book, [user, id], async (notes) => {
      const { books } = this.#store;
      const book = await books.get(user, id);
      if (!book) return null;
      if (book.status === "stored" || book.status === "parsing") notes.setTtl(ON_ITS_WAY_MS);
      return plain({ book, chapters: await books.outlines(user, id) });
    });
  }

  /** What one recipe of a run has made so far; kept once the run has ended. Null when the run is not there. */
  result(
    user: string,
    run: Pick<RunView, "id" | "bookId" | "revision" | "status">,
    recipe: string,
    page: ChapterPage,
  ): Promise<Found<ResultView>> {
    const family = isTerminal(run.status) ? this.#cache?.families.result : undefined;
    return find(family, [user, run, recipe, page], async (notes) => {
      const current = await this.#store.runs.get(user, run.id);
      if (!current) return null;
      if (current.revision !== run.revision) notes.skip();
      return plain(await readResult(this.#store, current, recipe, page));
    });
  }

  /** Whom a key lets in. Null when it is unknown or revoked, which is not remembered: a guess costs its own look-up. */
  key(sha256: string): Promise<Found<KeyView>> {
    return find(this.#cache?.families.apiKey, [sha256], async () => {
      const key = await this.#store.keys.findBySha256(sha256);
      if (!key || key.revokedAt !== null) return null;
      return { id: key.id, user: key.user, role: key.role };
    });
  }

  /** Calls back whenever this process hears that a run has changed, which it may not. Answers how to stop that. */
  watchRun(user: string, id: string, changed: () => void): () => void {
    return this.#cache?.families.runStatus.watch(user, id, changed) ?? (() => undefined);
  }
}
