type Reject = (error: Error) => void;

/** Those who began to wait in the same stretch of time. */
export class Round {
  readonly #waiting: (Reject | null)[] = [];
  #present = 0;

  get isEmpty(): boolean {
    return this.#present === 0;
  }

  /** Gives a place, by which to leave. */
  enter(reject: Reject): number {
    this.#present += 1;
    return this.#waiting.push(reject) - 1;
  }

  /** False for who has been turned away. */
  leave(place: number): boolean {
    if (this.#waiting[place] === null) return false;
    this.#waiting[place] = null;
    this.#present -= 1;
    return true;
  }

  turnAway(makeError: () => Error): void {
    for (const [place, reject] of this.#waiting.entries()) {
      if (this.leave(place)) reject?.(makeError());
    }
  }
}

/** A time-out is so many rounds: more make it more exact, and cost more. */
const ROUNDS = 8;
/** What a timer is late by when nothing is wrong. The rounds are shorter by that, so that all of them fit into the time-out. */
const TIMER_MS = 1;

/**
 * Turns away those who wait too long, all after the same time. Time is counted in rounds of the event loop's own timer: while the
 * event loop stands still so does this clock, and nobody is turned away because this process was late. To have one timer
 * for all is also far cheaper than a timer for each.
 */
export class Deadlines {
  readonly #roundMs: number;
  readonly #makeError: () => Error;
  /** The last is the current one. None while nobody waits. */
  readonly #rounds: Round[] = [];
  #current: Round | null = null;
  /** When the current round should end. */
  #dueAt = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(timeoutMs: number, makeError: () => Error) {
    this.#roundMs = timeoutMs / ROUNDS - TIMER_MS;
    this.#makeError = makeError;
  }

  /** The round in which to begin to wait. Who enters it is turned away between seven and eight eighths of the time-out later. */
  get round(): Round {
    return this.#current ?? this.#begin(performance.now());
  }

  /** False for who has been turned away. */
  leave(round: Round, place: number): boolean {
    if (!round.leave(place)) return false;
    // A timer that nobody needs any more would wake a process that has nothing else to do.
    if (round.isEmpty && this.#timer !== null) this.#restWhenEmpty();
    return true;
  }

  #begin(at: number): Round {
    const round = new Round();
    this.#rounds.push(round);
    this.#current = round;
    this.#dueAt = at + this.#roundMs;
    // What has arrived is read before the round ends.
    const leftMs = Math.max(0, this.#dueAt - performance.now());
    this.#timer = setTimeout(() => {
      this.#timer = null;
      setImmediate(() => this.#end());
    }, leftMs).unref();
    return round;
  }

  #end(): void {
    if (this.#rounds.length === ROUNDS) this.#rounds.shift()?.turnAway(this.#makeError);
    if (!this.#restWhenEmpty()) this.#begin(this.#nextBeginning());
  }

  /** Whether nobody waits any more. */
  #restWhenEmpty(): boolean {
    if (this.#rounds.some((round) => !round.isEmpty)) return false;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#rounds.length = 0;
    this.#current = null;
    return true;
  }

  /** Small delays do not add up, as the next round is shorter by them. After a long one the clock goes on from where it stood. */
  #nextBeginning(): number {
    const now = performance.now();
    return now - this.#dueAt < this.#roundMs / 2 ? this.#dueAt : now;
  }
}
