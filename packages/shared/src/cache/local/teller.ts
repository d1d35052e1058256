import type { GuardedRedis } from "../../redis/guarded-redis.ts";
import { writeChanges } from "./changes.ts";

/** More keys than this are not told one by one: the others are to forget everything. */
const MOST_KEYS = 10_000;

/** Tells the other processes what this one changed. What could not be told is kept until it can. */
export class Teller {
  readonly #redis: GuardedRedis;
  readonly #channel: string;
  readonly #name: string;
  #keys = new Set<string>();
  #isSending = false;

  constructor(redis: GuardedRedis, channel: string, name: string) {
    this.#redis = redis;
    this.#channel = channel;
    this.#name = name;
  }

  remember(keys: readonly string[]): void {
    for (const key of keys) if (this.#keys.size <= MOST_KEYS) this.#keys.add(key);
  }

  forget(): void {
    this.#keys = new Set();
  }

  /** Sends what is to be told. Never rejects. */
  async send(): Promise<void> {
    if (this.#isSending) return;
    this.#isSending = true;
    while (this.#keys.size > 0 && (await this.#sendOnce()));
    this.#isSending = false;
  }

  async #sendOnce(): Promise<boolean> {
    // What is remembered in this turn of the event loop goes along.
    await Promise.resolve();
    const keys = this.#keys;
    this.#keys = new Set();
    const words = writeChanges(this.#name, keys.size > MOST_KEYS ? null : [...keys]);
    try {
      await this.#redis.run((connection) => connection.publish(this.#channel, words));
      return true;
    } catch {
      this.remember([...keys]);
      return false;
    }
  }
}
