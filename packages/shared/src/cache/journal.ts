import type { Removal } from "./removal.ts";

/** More are not kept one by one. */
const MOST = 10_000;

/** Invalidations that Redis does not know of yet. The last one of a kind stands for all before it. */
export class Journal {
  readonly #removals = new Map<string, Removal>();
  readonly #everything: Removal;

  /** `prefix`: of all keys of the cache, which are removed when there is too much to remember. */
  constructor(prefix: string) {
    const selection = { path: "", scope: null, family: null, glob: null };
    this.#everything = { kind: "matching", prefix, selection };
  }

  get size(): number {
    return this.#removals.size;
  }

  note(removal: Removal): void {
    this.#removals.set(idOf(removal), removal);
    if (this.#removals.size <= MOST) return;
    this.#removals.clear();
    this.#removals.set(idOf(this.#everything), this.#everything);
  }

  /** Takes the oldest ones out, so many at most. What fails is to be noted again. */
  take(most: number): readonly Removal[] {
    const taken = [...this.#removals].slice(0, most);
    for (const [id] of taken) this.#removals.delete(id);
    return taken.map(([, removal]) => removal);
  }
}

function idOf(removal: Removal): string {
  return removal.kind === "value" ? removal.key : JSON.stringify(removal);
}
