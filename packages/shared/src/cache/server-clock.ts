import type { RedisConnection } from "../redis/redis-connection.ts";

/** The best of so many samples is taken: one that came and went quickly. */
const SAMPLES = 3;

/**
 * The time of Redis, told from a clock of this process. Moments in Redis are written and read in it, so that processes whose clocks differ agree on what is fresh.
 */
export class ServerClock {
  readonly #clock: () => number;
  #offset: number | null = null;

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  get isSet(): boolean {
    return this.#offset !== null;
  }

  /** Forgets the time of a server that another may have replaced. */
  forget(): void {
    this.#offset = null;
  }

  async ask(redis: RedisConnection): Promise<void> {
    const samples = await Promise.all(Array.from({ length: SAMPLES }, () => this.#sample(redis)));
    this.#offset = samples.reduce((best, sample) => (sample.tookMs < best.tookMs ? sample : best)).offset;
  }

  /** Milliseconds since 1970 by the clock of Redis, of a moment of the own clock. */
  toServer(moment: number): number {
    return moment + (this.#offset ?? 0);
  }

  toOwn(moment: number): number {
    return moment - (this.#offset ?? 0);
  }

  async #sample(redis: RedisConnection): Promise<{ readonly offset: number; readonly tookMs: number }> {
    const sentAt = this.#clock();
    const [seconds = 0, microseconds = 0] = await redis.time();
    const tookMs = this.#clock() - sentAt;
    const serverMs = Number(seconds) * 1_000 + Number(microseconds) / 1_000;
    return { offset: serverMs - (sentAt + tookMs / 2), tookMs };
  }
}
