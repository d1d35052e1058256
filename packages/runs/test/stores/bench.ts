import { afterAll, afterEach, beforeAll, beforeEach } from "@jest/globals";
import type { Sealer } from "../../src/ledger.ts";
import type { Store } from "../../src/store.ts";

interface OpenedStore {
  readonly store: Store;
  /** What a racer needs to open the same store: the MongoDB URL (empty for SQLite) and the data directory. */
  readonly spawnArgs: readonly string[];
}

/** Opens a store with nothing in it. The suite disposes of the store; what lies under it is the caller's. */
export type OpenFresh = (options?: {
  readonly now?: () => number;
  readonly sealer?: Sealer;
}) => Promise<OpenedStore>;

/** A clock that stands still until a test moves it. */
class Clock {
  at = Date.UTC(2030, 0, 1);
  readonly now = (): number => this.at;

  advance(ms: number): void {
    this.at += ms;
  }
}

export interface Bench {
  readonly store: Store;
  readonly clock: Clock;
  readonly spawnArgs: readonly string[];
}

/** One empty store for all tests of a section: for what a user of its own keeps apart. */
export function storeForAll(openFresh: OpenFresh): Bench {
  return benchOf(openFresh, beforeAll, afterAll);
}

/** An empty store for each test: for what works on behalf of all users. */
export function storeForEach(openFresh: OpenFresh): Bench {
  return benchOf(openFresh, beforeEach, afterEach);
}

function benchOf(
  openFresh: OpenFresh,
  before: (work: () => Promise<void>) => void,
  after: (work: () => Promise<void>) => void,
): Bench {
  let opened: OpenedStore | null = null;
  let clock = new Clock();
  before(async () => {
    clock = new Clock();
    const current = clock;
    opened = await openFresh({ now: () => current.at });
  });
  after(async () => {
    await opened?.store[Symbol.asyncDispose]();
    opened = null;
  });
  const current = (): OpenedStore => {
    if (!opened) throw new Error("the store is used outside of a test");
    return opened;
  };
  return {
    get store() {
      return current().store;
    },
    get spawnArgs() {
      return current().spawnArgs;
    },
    get clock() {
      return clock;
    },
  };
}
