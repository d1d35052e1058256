/** How a flight came to its end: by a value, or by an error that its readers throw. */
export type LogEnd<End> =
  | { readonly kind: "ended"; readonly end: End }
  | { readonly kind: "broken"; readonly error: unknown };

export type LogEvent<End> =
  | { readonly type: "chunk"; readonly chunk: unknown }
  | { readonly type: "reset" }
  | { readonly type: "end"; readonly end: End };

/** What a flight brought since it last began anew, read by any number of readers, each from the start and at its own pace. */
export class FlightLog<End> {
  #chunks: unknown[] = [];
  #end: LogEnd<End> | null = null;
  #changed = Promise.withResolvers<void>();

  get hasEnded(): boolean {
    return this.#end !== null;
  }

  append(chunk: unknown): void {
    this.#chunks.push(chunk);
    this.wakeReaders();
  }

  restart(): void {
    if (this.#chunks.length === 0) return;
    this.#chunks = [];
    this.wakeReaders();
  }

  finish(end: LogEnd<End>): void {
    this.#end ??= end;
    this.wakeReaders();
  }

  /** Has readers look again whether they still want to read. */
  wakeReaders(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  /** Reads until the end, or until `isWanted`, which may throw, says no. */
  async *read(isWanted: () => boolean): AsyncGenerator<LogEvent<End>, void> {
    let chunks = this.#chunks;
    let next = 0;
    while (isWanted()) {
      if (chunks !== this.#chunks) {
        chunks = this.#chunks;
        const hadSome = next > 0;
        next = 0;
        if (hadSome) yield { type: "reset" };
      } else if (next < chunks.length) {
        next += 1;
        yield { type: "chunk", chunk: chunks[next - 1] };
      } else if (this.#end === null) {
        await this.#changed.promise;
      } else {
        if (this.#end.kind === "broken") throw this.#end.error;
        yield { type: "end", end: this.#end.end };
        return;
      }
    }
  }
}
