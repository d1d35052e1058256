import type { ApiKey, Store } from "@mythic/runs";

/**
 * The store as an embedded server sees it. It works on one book, since a run that was interrupted earlier, of another book, must
 * not spend money because this book is processed now. And it knows one key, which is nowhere but in this process, so that
 * nobody else on the machine gets in through its port.
 */
export class FocusedStore {
  readonly store: Store;
  #bookId: string | null = null;

  constructor(inner: Store, key: ApiKey) {
    const { dispatch } = inner;
    const mine = (item: { readonly bookId: string }) => item.bookId === this.#bookId;
    this.store = {
      kind: inner.kind,
      books: inner.books,
      runs: inner.runs,
      steps: inner.steps,
      ledger: inner.ledger,
      replies: inner.replies,
      secrets: inner.secrets,
      keys: onlyKey(key),
      dispatch: {
        expireLeases: (maxCrashes) => dispatch.expireLeases(maxCrashes),
        due: (limit, perUser, redispatchMs) =>
          this.#bookId === null
            ? Promise.resolve([])
            : dispatch.due(limit, perUser, redispatchMs, this.#bookId),
        markDispatched: (ids) => dispatch.markDispatched(ids),
        forgetDispatches: () => dispatch.forgetDispatches(),
        backlog: () => dispatch.backlog(),
        liveRuns: async (limit, after) => (await dispatch.liveRuns(limit, after)).filter(mine),
        liveRunsOfBook: (bookId) => dispatch.liveRunsOfBook(bookId),
        unparsedBooks: async (limit) =>
          (await dispatch.unparsedBooks(limit)).filter((book) => book.id === this.#bookId),
        purgeDeleted: (limit) => dispatch.purgeDeleted(limit),
        deletedBooks: (limit) => dispatch.deletedBooks(limit),
        collectOrphans: (olderThanMs) => dispatch.collectOrphans(olderThanMs),
        abandonCalls: (olderThanMs) => dispatch.abandonCalls(olderThanMs),
        expireReplies: (olderThanMs) => dispatch.expireReplies(olderThanMs),
      },
      ping: () => inner.ping(),
      [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
    };
  }

  focus(bookId: string): void {
    this.#bookId = bookId;
  }
}

function onlyKey(key: ApiKey): Store["keys"] {
  return {
    create: () => Promise.reject(new Error("An embedded server makes no keys.")),
    findBySha256: async (sha256) => (sha256 === key.sha256 ? key : null),
    list: async () => [key],
    revoke: async () => false,
    wereEverMade: async () => true,
  };
}
