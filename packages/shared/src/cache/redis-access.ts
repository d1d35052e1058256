import { setTimeout as delay } from "node:timers/promises";
import type { GuardedRedis } from "../redis/guarded-redis.ts";
import type { RedisConnection } from "../redis/redis-connection.ts";
import { Journal } from "./journal.ts";
import { applyRemoval, type Removal } from "./removal.ts";
import { ServerClock } from "./server-clock.ts";

/** Removals sent at a time on return. */
const BATCH = 100;
const RETRY_MS = 1_000;
/** Clocks drift apart by a few milliseconds in this time. */
const ASK_TIME_MS = 60_000;

export interface RedisAccessOptions {
  readonly redis: GuardedRedis;
  readonly prefix: string;
  readonly clock: () => number;
  /** Hears of keys that this process removed. */
  readonly told: (keys: readonly string[]) => void;
}

/**
 * Lets the cache ask Redis only while that is worth it and right. It is open while the breaker is closed, the time of Redis is known, and Redis has been told of
 * everything that was invalidated here: who knows of an invalidation that Redis does not, must not read there.
 */
export class RedisAccess {
  readonly redis: GuardedRedis;
  readonly time: ServerClock;
  readonly #journal: Journal;
  readonly #told: (keys: readonly string[]) => void;
  readonly #closing = new AbortController();
  readonly #leave: () => void;
  readonly #timer: NodeJS.Timeout;
  /** How many it is being told of. */
  #telling = 0;
  #isOpen = false;
  #opening: Promise<void> | null = null;

  constructor({ redis, prefix, clock, told }: RedisAccessOptions) {
    this.redis = redis;
    this.time = new ServerClock(clock);
    this.#journal = new Journal(prefix);
    this.#told = told;
    this.#leave = redis.breaker.onChange(() => this.#breakerTurned());
    this.#timer = setInterval(() => void this.#askTime().catch(() => undefined), ASK_TIME_MS).unref();
    this.#breakerTurned();
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** How many invalidations Redis has not been told of. */
  get pendingRemovals(): number {
    return this.#journal.size + this.#telling;
  }

  run<Reply>(commands: (connection: RedisConnection) => Promise<Reply>): Promise<Reply> {
    return this.redis.run(commands);
  }

  /** Removes values from Redis, now or when it is back. Answers how many, or null when that is not known. Never rejects. */
  async remove(removal: Removal): Promise<number | null> {
    if (this.#isOpen) {
      try {
        return await applyRemoval(this.redis, removal, this.#told);
      } catch {
        // It is kept for later.
      }
    }
    this.note(removal);
    return null;
  }

  /** Has values removed as soon as Redis can be told of it. */
  note(removal: Removal): void {
    this.#journal.note(removal);
    this.#isOpen = false;
    this.#open();
  }

  /** Tells Redis what it does not know yet, if it is there. Never rejects. */
  async close(): Promise<void> {
    this.#leave();
    clearInterval(this.#timer);
    this.#closing.abort();
    await this.#opening;
    this.#isOpen = false;
    if (this.#isRedisThere) await this.#tellAll().catch(() => undefined);
  }

  get #isRedisThere(): boolean {
    return this.redis.breaker.state === "closed";
  }

  #breakerTurned(): void {
    if (this.#isRedisThere) {
      this.time.forget();
      this.#open();
    } else {
      this.#isOpen = false;
    }
  }

  #open(): void {
    this.#opening ??= Promise.resolve().then(() => this.#tryToOpen());
  }

  async #tryToOpen(): Promise<void> {
    while (!this.#isOpen && this.#isRedisThere && !this.#closing.signal.aborted) {
      try {
        if (!this.time.isSet) await this.#askTime();
        await this.#tellAll();
        this.#isOpen = this.time.isSet && this.#journal.size === 0 && this.#isRedisThere;
      } catch {
        await delay(RETRY_MS, undefined, { signal: this.#closing.signal, ref: false }).catch(() => undefined);
      }
    }
    this.#opening = null;
  }

  #askTime(): Promise<void> {
    return this.redis.run((connection) => this.time.ask(connection));
  }

  async #tellAll(): Promise<void> {
    while (this.#journal.size > 0) {
      const batch = this.#journal.take(BATCH);
      this.#telling = batch.length;
      const outcomes = await Promise.allSettled(
        batch.map((removal) => applyRemoval(this.redis, removal, this.#told)),
      );
      const failed = outcomes.flatMap((outcome, index) => (outcome.status === "rejected" ? [index] : []));
      this.#telling = 0;
      for (const index of failed) this.#journal.note(batch[index] as Removal);
      if (failed.length > 0) throw new Error("Redis was not told of all invalidations.");
    }
  }
}
