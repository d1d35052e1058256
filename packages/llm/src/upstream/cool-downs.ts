import { closeRedis, connectRedis, type RedisAddress, type RedisConnection } from "@mythic/shared/redis";

/**
 * | Number | Value | Why |
 * |---|---|---|
 * | `firstMs` | 1,000 | an endpoint that does not say how long: most limits are counted per second or per minute |
 * | doubling | ×2 for each 429 in a row | the first guess was too short |
 * | `mostMs` | 60,000 | limits of a minute are whole again after one |
 * | `longestMs` | 31 days | no provider counts in longer periods, so whoever says more means something else |
 */
export const COOL_DOWN = { firstMs: 1_000, mostMs: 60_000, longestMs: 31 * 86_400_000 } as const;

/** Overload that is no 429: the service is unavailable (503), or so busy that a provider has a status of its own for it (529). */
const OVERLOADED = new Set([429, 503, 529]);

export function isOverload(status: number | null): boolean {
  return status !== null && OVERLOADED.has(status);
}

/** How long a response closes the gate, in milliseconds; `guess`: it does not say. Null: it does not close it. */
export function coolDownOf(status: number | null, retryAfterMs: number | null): number | "guess" | null {
  if (!isOverload(status)) return null;
  if (retryAfterMs !== null) return Math.min(retryAfterMs, COOL_DOWN.longestMs);
  return status === 429 ? "guess" : null;
}

/** In milliseconds; `strikes`: how many there were in a row, this one included. */
export function guessCoolDown(strikes: number): number {
  return Math.min(COOL_DOWN.mostMs, COOL_DOWN.firstMs * 2 ** Math.min(strikes - 1, 10));
}

/**
 * What this process knows of cool-downs, without asking. Redis has them for all; what one process writes there is pushed to the others,
 * and who missed it is told with the next question to Redis.
 */
export class CoolDowns {
  readonly #until = new Map<string, number>();
  readonly #clock: () => number;
  #subscriber: RedisConnection | null = null;

  /** `clock`: milliseconds that never go back. */
  constructor(clock: () => number) {
    this.#clock = clock;
  }

  /** Listens to other processes. */
  listen(address: RedisAddress, channel: string): void {
    const subscriber = connectRedis(address, "tracking", { connectionName: "mythic:cool-downs" });
    this.#subscriber = subscriber;
    subscriber.on("message", (_channel: string, message: string) => {
      const [, ms = "", lane = ""] = /^(\d+) (.+)$/s.exec(message) ?? [];
      if (ms !== "") this.close(lane, Number(ms));
    });
    subscriber.on("ready", () => {
      // Lost again meanwhile: the next connection subscribes.
      subscriber.subscribe(channel).catch(() => undefined);
    });
  }

  close(lane: string, ms: number): void {
    const now = this.#clock();
    for (const [other, until] of this.#until) if (until <= now) this.#until.delete(other);
    this.#until.set(lane, Math.max(this.#until.get(lane) ?? 0, now + ms));
  }

  /** Milliseconds; 0 when there is none. */
  leftMs(lane: string): number {
    const until = this.#until.get(lane);
    return until === undefined ? 0 : Math.max(0, until - this.#clock());
  }

  async stop(): Promise<void> {
    if (this.#subscriber !== null) await closeRedis(this.#subscriber);
  }
}
