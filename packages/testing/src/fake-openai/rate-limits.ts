/** What the fake lets through in a window that slides: counted when a request arrives, by the tokens that it really comes to. */
export interface RateLimits {
  readonly requests?: number;
  readonly tokens?: number;
  /** In milliseconds. A minute without it. */
  readonly windowMs?: number;
}

interface Arrival {
  readonly at: number;
  readonly tokens: number;
}

interface Use {
  readonly name: "requests" | "tokens";
  readonly limit: number;
  readonly used: number;
  readonly cost: number;
  /** What each arrival in the window, from the oldest, took of it. */
  readonly taken: readonly number[];
}

export interface Admission {
  /** Milliseconds until the same request would pass; null: it passes. */
  readonly retryAfterMs: number | null;
  /** `x-ratelimit-*`, and `retry-after` with a refusal. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Counts what was let through; a refusal counts for nothing. */
export class RateWindow {
  readonly #limits: RateLimits;
  readonly #windowMs: number;
  #arrivals: Arrival[] = [];

  constructor(limits: RateLimits) {
    this.#limits = limits;
    this.#windowMs = limits.windowMs ?? 60_000;
  }

  /** `now`: milliseconds of a clock that never goes back. */
  admit(tokens: number, now: number): Admission {
    this.#arrivals = this.#arrivals.filter(({ at }) => at > now - this.#windowMs);
    const uses = this.#uses(tokens);
    const waits = uses.map((use) => this.#waitFor(use, now));
    const retryAfterMs = Math.max(0, ...waits);
    if (retryAfterMs > 0) return { retryAfterMs, headers: this.#headers(uses, retryAfterMs, now) };
    this.#arrivals.push({ at: now, tokens });
    return { retryAfterMs: null, headers: this.#headers(this.#uses(0), null, now) };
  }

  #uses(tokens: number): Use[] {
    const { requests, tokens: tokenLimit } = this.#limits;
    const use = (name: Use["name"], limit: number, cost: number, taken: readonly number[]): Use => ({
      ...{ name, limit, cost, taken },
      used: taken.reduce((sum, amount) => sum + amount, 0),
    });
    return [
      ...(requests === undefined
        ? []
        : [
            use(
              "requests",
              requests,
              1,
              this.#arrivals.map(() => 1),
            ),
          ]),
      ...(tokenLimit === undefined
        ? []
        : [
            use(
              "tokens",
              tokenLimit,
              tokens,
              this.#arrivals.map((arrival) => arrival.tokens),
            ),
          ]),
    ];
  }

  /** Until enough has left the window. What is larger than the limit waits for an empty one, and still does not pass. */
  #waitFor({ limit, used, cost, taken }: Use, now: number): number {
    let missing = used + cost - limit;
    if (missing <= 0) return 0;
    for (const [index, amount] of taken.entries()) {
      missing -= amount;
      const leavesAt = (this.#arrivals[index]?.at ?? now) + this.#windowMs;
      if (missing <= 0) return Math.max(1, Math.ceil(leavesAt - now));
    }
    return this.#windowMs;
  }

  #headers(uses: readonly Use[], retryAfterMs: number | null, now: number): Record<string, string> {
    const last = this.#arrivals.at(-1)?.at ?? now - this.#windowMs;
    const resetMs = Math.max(0, Math.ceil(last + this.#windowMs - now));
    const headers: Record<string, string> = {};
    for (const { name, limit, used } of uses) {
      headers[`x-ratelimit-limit-${name}`] = String(limit);
      headers[`x-ratelimit-remaining-${name}`] = String(Math.max(0, limit - used));
      headers[`x-ratelimit-reset-${name}`] = `${resetMs}ms`;
    }
    if (retryAfterMs === null) return headers;
    const seconds = String(Math.ceil(retryAfterMs / 1000));
    return { ...headers, "retry-after": seconds, "retry-after-ms": String(retryAfterMs) };
  }
}
