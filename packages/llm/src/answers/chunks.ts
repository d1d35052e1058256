/** Chunks on their way from who pushes them to who iterates, one of each. */
export class Chunks implements AsyncIterable<unknown> {
  #waiting: unknown[] = [];
  #isEnded = false;
  #wake: () => void = () => undefined;

  get isEnded(): boolean {
    return this.#isEnded;
  }

  push(chunk: unknown): void {
    this.#waiting.push(chunk);
    this.#wake();
  }

  /** No more will come. */
  end(): void {
    this.#isEnded = true;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<unknown, void, void> {
    for (;;) {
      const chunks = this.#waiting;
      this.#waiting = [];
      yield* chunks;
      if (this.#waiting.length > 0) continue;
      if (this.#isEnded) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
  }
}
