/** Knows which handlers are at work, so that whoever closes can wait for them. */
export class HandlersAtWork {
  readonly #handlers = new Set<Promise<unknown>>();

  get count(): number {
    return this.#handlers.size;
  }

  /** Settles as the work does, after it stopped counting. */
  async run<Result>(work: () => Promise<Result>): Promise<Result> {
    // A promise of our own: two handlers may share one.
    const handler = Promise.resolve().then(work);
    this.#handlers.add(handler);
    try {
      return await handler;
    } finally {
      this.#handlers.delete(handler);
    }
  }

  /** Resolves when none is at work. */
  async ended(): Promise<void> {
    while (this.#handlers.size > 0) await Promise.allSettled(this.#handlers);
  }
}
