/** What came of an attempt: it is over, or these keys refuse it for so long. */
export type Attempt<Outcome> =
  | { readonly outcome: Outcome }
  | { readonly refusedBy: readonly string[]; readonly waitMs: number };

export interface Wait<Outcome> {
  readonly keys: readonly string[];
  readonly signal: AbortSignal | undefined;
  /** Tries once, and never rejects. `isOvertaken` says that someone elsewhere got what this one was waiting for. */
  attempt(isOvertaken: boolean): Promise<Attempt<Outcome>>;
}

interface Waiter {
  /** The lower, the longer it has been waiting. */
  readonly ticket: number;
  standsAt: readonly string[];
  /** There is more of what it waits for than it was told. */
  isNudged: boolean;
  wake(): void;
}

/** What takes no longer than this is slept through. */
const SHORT_MS = 1_000;
/** In what takes longer it is tried again now and then, as other processes may have given something back. */
const LONGEST_SLEEP_MS = 60_000;
/** Keeps processes apart that were refused for the same time. */
const MOST_JITTER_MS = 20;
/** Clocks of two machines do not run apart by more within one wait. */
const TOLERANCE_MS = 5;

/**
 * Who waits for which key in this process. A waiter stands in line at the keys that refuse it (at all of its keys while it tries), and nobody
 * younger who needs one of these tries before it is gone. Who needs other keys is not held up.
 */
export class WaitingLine {
  readonly #lines = new Map<string, Waiter[]>();
  readonly #clock: () => number;
  #tickets = 0;

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  /**
   * Tries whenever it is this one's turn, until that has an outcome.
   *
   * @throws the reason of the signal, if it aborts before
   */
  async wait<Outcome>({ keys, signal, attempt }: Wait<Outcome>): Promise<Outcome> {
    this.#tickets += 1;
    const waiter: Waiter = { ticket: this.#tickets, standsAt: [], isNudged: false, wake: ignore };
    let isOvertaken = false;
    let dueAt = Number.POSITIVE_INFINITY;
    try {
      for (;;) {
        signal?.throwIfAborted();
        waiter.isNudged = false;
        const occupied = keys.find((key) => this.#hasOlder(key, waiter));
        this.#standAt(waiter, occupied === undefined ? keys : [occupied]);
        if (occupied !== undefined) {
          await sleep(waiter, null, signal);
          continue;
        }
        const tried = await attempt(isOvertaken);
        if ("outcome" in tried) return tried.outcome;
        this.#standAt(waiter, tried.refusedBy);
        const nextDueAt = this.#clock() + tried.waitMs;
        isOvertaken ||= nextDueAt > dueAt + TOLERANCE_MS;
        dueAt = nextDueAt;
        await sleep(waiter, patience(tried.waitMs), signal);
      }
    } finally {
      this.#standAt(waiter, []);
    }
  }

  /** Has the first in line try again at once: there is more than was said. */
  nudge(key: string): void {
    const first = this.#lines.get(key)?.[0];
    if (first === undefined) return;
    first.isNudged = true;
    first.wake();
  }

  #hasOlder(key: string, { ticket }: Waiter): boolean {
    const first = this.#lines.get(key)?.[0];
    return first !== undefined && first.ticket < ticket;
  }

  #standAt(waiter: Waiter, keys: readonly string[]): void {
    for (const key of waiter.standsAt) {
      if (!keys.includes(key)) this.#leave(waiter, key);
    }
    for (const key of keys) {
      if (!waiter.standsAt.includes(key)) this.#enter(waiter, key);
    }
    waiter.standsAt = keys;
  }

  #enter(waiter: Waiter, key: string): void {
    const line = this.#lines.get(key) ?? [];
    const behind = line.findLastIndex(({ ticket }) => ticket < waiter.ticket);
    line.splice(behind + 1, 0, waiter);
    this.#lines.set(key, line);
  }

  #leave(waiter: Waiter, key: string): void {
    const line = this.#lines.get(key) ?? [];
    line.splice(line.indexOf(waiter), 1);
    if (line.length === 0) this.#lines.delete(key);
    else this.nudge(key);
  }
}

function patience(waitMs: number): number {
  const ms = waitMs <= SHORT_MS ? waitMs : Math.min(Math.max(waitMs / 4, SHORT_MS), LONGEST_SLEEP_MS);
  return Math.ceil(ms + Math.random() * Math.min(ms / 10, MOST_JITTER_MS));
}

/** Sleeps until someone wakes the waiter, the signal aborts, or the time is over, if there is one. */
async function sleep(waiter: Waiter, ms: number | null, signal: AbortSignal | undefined): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (waiter.isNudged) return;
  const wake = () => resolve();
  waiter.wake = wake;
  const timer = ms === null ? undefined : setTimeout(wake, ms);
  signal?.addEventListener("abort", wake, { once: true });
  try {
    if (!signal?.aborted) await promise;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", wake);
    waiter.wake = ignore;
  }
}

function ignore(): void {}
