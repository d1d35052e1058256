import { StoreUnavailableError } from "@mythic/runs";

/** A store that does not answer is reported within 5 seconds, however many questions a request has for it. */
export const PATIENCE_MS = 4_500;

/**
 * Waits for work that needs the store. What goes on after the time is up may still happen: that is what the error says. Its own
 * end is not waited for.
 *
 * @throws StoreUnavailableError when the time is up
 */
export function withPatience<Value>(work: Promise<Value>, patienceMs = PATIENCE_MS): Promise<Value> {
  return new Promise((resolve, reject) => {
    const wait = new Wait(patienceMs, reject);
    work.then(
      (value) => {
        wait.end();
        resolve(value);
      },
      (error) => {
        wait.end();
        reject(error);
      },
    );
    if (begun.push(wait) === 1) setImmediate(setTimers);
  });
}

class Wait {
  readonly #patienceMs: number;
  readonly #reject: (error: Error) => void;
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;

  constructor(patienceMs: number, reject: (error: Error) => void) {
    this.#patienceMs = patienceMs;
    this.#reject = reject;
  }

  end(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }

  setTimer(): void {
    if (!this.#isOver) this.#timer = setTimeout(this.#giveUp, this.#patienceMs);
  }

  readonly #giveUp = () => {
    this.#reject(new StoreUnavailableError(`The store did not answer within ${this.#patienceMs} ms.`));
  };
}

/** Those of this turn of the event loop: what the cache has is there at the end of it, and needs no timer. */
let begun: Wait[] = [];

function setTimers(): void {
  const waits = begun;
  begun = [];
  for (const wait of waits) wait.setTimer();
}
