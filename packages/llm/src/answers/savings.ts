import type { Ledger, Saved } from "../ledger.ts";

/** Between two writes, in milliseconds. */
const PAUSE_MS = 250;

/**
 * Counts what was saved. The first is written at once, and what comes soon after it together: a hit costs a few microseconds, a write
 * to a store that keeps its word a hundred times that. What cannot be written is forgotten, as no answer is worth less for it.
 */
export class Savings implements AsyncDisposable {
  readonly #ledger: Pick<Ledger, "countSaved">;
  /** By user, model and cause. */
  #sums = new Map<string, { readonly user: string; readonly saved: Saved }>();
  #timer: NodeJS.Timeout | null = null;
  #writing: Promise<unknown> = Promise.resolve();

  constructor(ledger: Pick<Ledger, "countSaved">) {
    this.#ledger = ledger;
  }

  add(user: string, saved: Saved): void {
    const key = JSON.stringify([user, saved.model, saved.cause]);
    const sum = this.#sums.get(key)?.saved;
    this.#sums.set(key, { user, saved: sum === undefined ? saved : sumOf(sum, saved) });
    if (this.#timer !== null) return;
    this.#timer = setInterval(() => this.#next(), PAUSE_MS).unref();
    this.#write();
  }

  /** Resolves when all is written that can be. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#write();
    this.#stop();
    await this.#writing;
  }

  #next(): void {
    if (this.#sums.size === 0) this.#stop();
    else this.#write();
  }

  #stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  #write(): void {
    const writes = [...this.#sums.values()].map(({ user, saved }) =>
      this.#ledger.countSaved(user, saved).catch(() => undefined),
    );
    this.#sums = new Map();
    this.#writing = Promise.all([this.#writing, ...writes]);
  }
}

function sumOf(one: Saved, other: Saved): Saved {
  return {
    model: one.model,
    cause: one.cause,
    calls: one.calls + other.calls,
    tokens: one.tokens + other.tokens,
    cost: one.cost + other.cost,
    unpriced: one.unpriced + other.unpriced,
  };
}
