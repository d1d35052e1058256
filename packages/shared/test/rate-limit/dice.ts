/** Random choices that are the same for the same seed. */
export class Dice {
  readonly #next: () => number;

  constructor(seed: number) {
    this.#next = randomFrom(seed);
  }

  /** True so often. */
  happens(share: number): boolean {
    return this.#next() < share;
  }

  /** A number below another one, with a fraction. */
  upTo(most: number): number {
    return this.#next() * most;
  }

  pick<Item>(items: readonly Item[]): Item {
    const item = items[Math.floor(this.upTo(items.length))];
    if (item === undefined) throw new Error("There is nothing to pick from.");
    return item;
  }

  some<Item>(items: readonly Item[]): Item[] {
    const picked = items.filter(() => this.happens(0.5));
    return picked.length > 0 ? picked : [this.pick(items)];
  }

  /** Mostly small, at times as large as the limit. */
  cost(limit: number): number {
    return this.happens(0.1) ? this.upTo(limit) : this.upTo(limit / 20);
  }
}

/** Numbers from 0 to 1: mulberry32. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d_2b_79_f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
