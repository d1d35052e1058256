import type { Store } from "../store.ts";
import { AnnouncingBooks } from "./announcing-books.ts";
import { AnnouncingKeys } from "./announcing-keys.ts";
import { AnnouncingLedger } from "./announcing-ledger.ts";
import { AnnouncingRuns } from "./announcing-runs.ts";
import type { RunCache } from "./open-caching.ts";

/**
 * A store that tells the cache of whatever changes what is cached: after it was written, and before the writer gets its answer, as
 * far as that costs no more than the cache's time-out. Every process that writes is composed with it, so nobody can forget to.
 * What a process changed that was killed before it could say so stays as it was until its TTL.
 */
export function announceChanges(store: Store, cache: RunCache | null): Store {
  if (cache === null) return store;
  return {
    kind: store.kind,
    books: new AnnouncingBooks(store.books, cache),
    runs: new AnnouncingRuns(store.runs, cache),
    // What was made of a run is cached when the run has ended, and by its revision.
    steps: store.steps,
    ledger: new AnnouncingLedger(store.ledger, cache),
    keys: new AnnouncingKeys(store.keys, cache),
    replies: store.replies,
    secrets: store.secrets,
    dispatch: store.dispatch,
    ping: () => store.ping(),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}
