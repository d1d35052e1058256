import { isTerminal } from "@mythic/runs";
import type { Found, Reads, RunView } from "@mythic/runs/cache";
import { withPatience } from "./deadline.ts";

/** How often a run is looked at that nobody tells of; where changes are told, this costs a look into this process's memory. */
const LOOK_MS = 1_000;
const MOST_AT_ONCE = 1_000;
const MOST_OF_A_USER = 20;

export interface RunWait {
  readonly user: string;
  readonly id: string;
  /** Whether the client has what is there; null when it wants to hear of the next change, whatever is there now. */
  readonly isSeen: ((run: RunView) => boolean) | null;
  readonly waitMs: number;
  /** Aborted when the client goes away. */
  readonly gone: AbortSignal;
}

/** Answers that wait until a run has changed. */
export class RunWaits {
  readonly #reads: Pick<Reads, "run" | "watchRun">;
  readonly #closing: AbortSignal;
  readonly #waiting = new Map<string, number>();
  #total = 0;

  constructor(reads: Pick<Reads, "run" | "watchRun">, closing: AbortSignal) {
    this.#reads = reads;
    this.#closing = closing;
  }

  /** Waits for a run that is not what the client has seen, or has ended; null when too many wait already. */
  async wait(wait: RunWait): Promise<Found<RunView> | null> {
    const { user } = wait;
    const own = this.#waiting.get(user) ?? 0;
    if (own >= MOST_OF_A_USER || this.#total >= MOST_AT_ONCE) return null;
    this.#waiting.set(user, own + 1);
    this.#total += 1;
    try {
      return await this.#untilChanged(wait);
    } finally {
      this.#total -= 1;
      const left = (this.#waiting.get(user) ?? 1) - 1;
      if (left > 0) this.#waiting.set(user, left);
      else this.#waiting.delete(user);
    }
  }

  async #untilChanged({ user, id, isSeen, waitMs, gone }: RunWait): Promise<Found<RunView>> {
    const until = performance.now() + waitMs;
    let woken = Promise.withResolvers<void>();
    const wake = () => woken.resolve();
    const ends = [gone, this.#closing];
    const unwatch = this.#reads.watchRun(user, id, wake);
    for (const end of ends) end.addEventListener("abort", wake);
    try {
      for (let seen = isSeen; ; ) {
        // Before the run is looked at, so that what changes just afterwards wakes, too.
        woken = Promise.withResolvers();
        const found = await withPatience(this.#reads.run(user, id));
        const { value: run } = found;
        const leftMs = until - performance.now();
        const isOver = leftMs <= 0 || ends.some(({ aborted }) => aborted);
        if (run === null || isTerminal(run.status) || isOver) return found;
        seen ??= ({ revision }) => revision === run.revision;
        if (!seen(run)) return found;
        const timer = setTimeout(wake, Math.min(LOOK_MS, leftMs));
        await woken.promise;
        clearTimeout(timer);
      }
    } finally {
      unwatch();
      for (const end of ends) end.removeEventListener("abort", wake);
    }
  }
}
