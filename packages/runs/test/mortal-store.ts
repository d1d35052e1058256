import type { Store } from "../src/store.ts";

/** The process is gone. Whatever it does afterwards reaches nothing. */
export class Killed extends Error {
  override readonly name = "Killed";
}

export interface MortalStore {
  readonly store: Store;
  /** Writes begun so far. */
  readonly writes: () => number;
  readonly isDead: () => boolean;
}

/** Functions that only read. */
const READS =
  /^(get|list|bytesStored|readBytes|outlines|chapter|ofRun|results|findAnswer|spent|spentOn|usage|findBySha256|wereEverMade|due|backlog|liveRuns|liveRunsOfBook|unparsedBooks|deletedBooks)$/;

/**
 * The store as a process sees it that is killed at its `n`th write: before that write happened, or right after it did and
 * before anyone heard of it. From then on nothing gets through.
 */
export function mortalStore(store: Store, killAt: number, moment: "before" | "after"): MortalStore {
  let writes = 0;
  let dead = false;
  const mortal = <Part extends object>(part: Part): Part =>
    new Proxy(part, {
      get(target, name, receiver) {
        const member: unknown = Reflect.get(target, name, receiver);
        if (typeof member !== "function" || name === "readBytes") return member;
        return async (...parameters: unknown[]) => {
          if (dead) throw new Killed();
          const last = !READS.test(String(name)) && ++writes === killAt;
          if (last) dead = true;
          if (last && moment === "before") throw new Killed();
          const answer: unknown = await Reflect.apply(member, target, parameters);
          if (last) throw new Killed();
          return answer;
        };
      },
    });
  return {
    store: {
      kind: store.kind,
      books: mortal(store.books),
      runs: mortal(store.runs),
      steps: mortal(store.steps),
      ledger: mortal(store.ledger),
      keys: mortal(store.keys),
      replies: mortal(store.replies),
      secrets: mortal(store.secrets),
      dispatch: mortal(store.dispatch),
      ping: () => store.ping(),
      [Symbol.asyncDispose]: async () => undefined,
    },
    writes: () => writes,
    isDead: () => dead,
  };
}
