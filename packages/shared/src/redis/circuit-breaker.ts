/** `closed`: Redis is asked. `open`: it is not. `half-open`: it is not, but for a probe that is on its way. */
export type BreakerState = "closed" | "open" | "half-open";

export interface BreakerSnapshot {
  readonly state: BreakerState;
  /** How often it opened. */
  readonly opens: number;
  /** What went wrong last, be it long ago. */
  readonly lastError: string | null;
  /** Since when it is not closed. */
  readonly openedAt: Date | null;
  /** Commands that Redis did not answer in time. Those that came late because this process was late are not among them. */
  readonly timeouts: number;
  /** Errors that say that Redis cannot serve. */
  readonly errors: number;
  /** Why Redis, which is there, refused a command within the last minute: it is full, read-only, or forbids it. */
  readonly refusal: string | null;
}

/** Knows whether Redis is worth asking. */
export interface CircuitBreaker {
  readonly state: BreakerState;
  /** Calls the listener, which must not throw, at each change, until the function that is returned is called. */
  onChange(listener: (state: BreakerState) => void): () => void;
  snapshot(): BreakerSnapshot;
}

const ERRORS_IN_A_ROW = 3;
const REFUSAL_MS = 60_000;

/**
 * Open until Redis has answered for the first time, and again after one time-out, three errors in a row or a lost connection.
 * It has no timers: whoever owns it probes, and tells it what came of that.
 */
export class Breaker implements CircuitBreaker {
  readonly #now: () => number;
  readonly #listeners = new Set<(state: BreakerState) => void>();
  #state: BreakerState = "open";
  #openedAt: number;
  #opens = 0;
  #errorsInRow = 0;
  #errors = 0;
  #timeouts = 0;
  #lastError: string | null = null;
  #refusal: { readonly reason: string; readonly at: number } | null = null;

  /** `now`: milliseconds since 1970. */
  constructor(now: () => number) {
    this.#now = now;
    this.#openedAt = now();
  }

  get state(): BreakerState {
    return this.#state;
  }

  get lastError(): string | null {
    return this.#lastError;
  }

  onChange(listener: (state: BreakerState) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  snapshot(): BreakerSnapshot {
    const isFresh = this.#refusal !== null && this.#now() - this.#refusal.at < REFUSAL_MS;
    return {
      state: this.#state,
      opens: this.#opens,
      lastError: this.#lastError,
      openedAt: this.#state === "closed" ? null : new Date(this.#openedAt),
      timeouts: this.#timeouts,
      errors: this.#errors,
      refusal: isFresh ? (this.#refusal?.reason ?? null) : null,
    };
  }

  answered(): void {
    this.#errorsInRow = 0;
  }

  /** Redis answered, but with a refusal: asking it for other things goes on. */
  refused(reason: string): void {
    this.#errorsInRow = 0;
    this.#lastError = reason;
    this.#refusal = { reason, at: this.#now() };
  }

  erred(reason: string): void {
    this.#errors += 1;
    this.#errorsInRow += 1;
    this.#lastError = reason;
    if (this.#errorsInRow >= ERRORS_IN_A_ROW) this.open(reason);
  }

  timedOut(reason: string): void {
    this.#timeouts += 1;
    this.open(reason);
  }

  /** Opens for a reason that needs no counting. */
  open(reason: string): void {
    this.#lastError = reason;
    if (this.#state !== "closed") return;
    this.#opens += 1;
    this.#openedAt = this.#now();
    this.#become("open");
  }

  probing(): void {
    if (this.#state === "open") this.#become("half-open");
  }

  probeFailed(reason: string): void {
    this.#lastError = reason;
    if (this.#state === "half-open") this.#become("open");
  }

  probePassed(): void {
    this.#errorsInRow = 0;
    if (this.#state === "half-open") this.#become("closed");
  }

  #become(state: BreakerState): void {
    this.#state = state;
    for (const listener of this.#listeners) listener(state);
  }
}
