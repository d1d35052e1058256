import type { Store } from "@mythic/runs";

/** A store that is looked over the shoulder. */
export interface WatchedStore {
  readonly store: Store;
  /** How often a function was called, by its name as in `runs.get`; without a name, how often any was. */
  calls(name?: string): number;
  /** Holds back what a function answers from now on, though not what it does, and answers how to let go of it. */
  hold(name: string): () => void;
  /** Has a function fail from now on, and answers how to mend it. */
  fail(name: string, error: Error): () => void;
}

const PARTS = ["books", "runs", "steps", "ledger", "keys", "replies", "dispatch"] as const;

export function watchStore(store: Store): WatchedStore {
  const counts = new Map<string, number>();
  const after = new Map<string, () => Promise<void>>();
  const watch = <Part extends object>(part: string, inner: Part): Part =>
    new Proxy(inner, {
      get(target, property) {
        const member: unknown = Reflect.get(target, property);
        if (typeof member !== "function") return member;
        const name = `${part}.${String(property)}`;
        return (...args: unknown[]) => {
          counts.set(name, (counts.get(name) ?? 0) + 1);
          const answer: unknown = Reflect.apply(member, target, args);
          const then = after.get(name);
          return then === undefined
            ? answer
            : Promise.resolve(answer).then(async (value) => {
                await then();
                return value;
              });
        };
      },
    });
  const watched = Object.fromEntries(PARTS.map((part) => [part, watch(part, store[part])]));
  const during = (name: string, then: () => Promise<void>) => {
    after.set(name, then);
    return () => void after.delete(name);
  };
  return {
    store: {
      ...store,
      ...watched,
      ping: () => store.ping(),
      [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
    },
    calls(name) {
      return name === undefined
        ? [...counts.values()].reduce((sum, count) => sum + count, 0)
        : (counts.get(name) ?? 0);
    },
    hold(name) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const end = during(name, () => promise);
      return () => {
        end();
        resolve();
      };
    },
    fail(name, error) {
      return during(name, () => Promise.reject(error));
    },
  };
}
