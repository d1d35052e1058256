/** Gives a slot back. Doing it twice is fine. */
export type Leave = () => void;

/**
 * Lets so many calls be on their way at once; who comes later waits in line. What a step does before and after its call needs no
 * slot, so a worker that takes a few steps more than it has slots keeps every one of them busy.
 */
export class CallSlots {
  readonly #first = new Set<() => void>();
  readonly #others = new Set<() => void>();
  #free: number;

  constructor(count: number) {
    this.#free = count;
  }

  /**
   * Resolves with a slot; rejects with the signal's reason when it comes first. Whoever goes on with something comes before those
   * who would begin, else a step of several calls would wait behind newcomers at each of them and end last of all.
   */
  async take(signal: AbortSignal, isGoingOn: boolean): Promise<Leave> {
    signal.throwIfAborted();
    if (this.#free > 0) this.#free -= 1;
    else await this.#turn(isGoingOn ? this.#first : this.#others, signal);
    let taken = true;
    return () => {
      if (!taken) return;
      taken = false;
      this.#pass();
    };
  }

  async #turn(line: Set<() => void>, signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const stop = () => {
      // Out of the line at once, else a slot could be handed to someone who has left.
      line.delete(resolve);
      reject(signal.reason as Error);
    };
    line.add(resolve);
    signal.addEventListener("abort", stop);
    try {
      await promise;
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  #pass(): void {
    for (const line of [this.#first, this.#others]) {
      const [next] = line;
      if (next === undefined) continue;
      line.delete(next);
      next();
      return;
    }
    this.#free += 1;
  }
}
