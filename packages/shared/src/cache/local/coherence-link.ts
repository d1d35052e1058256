import type { Redis } from "ioredis";
import { closeRedis } from "../../redis/close-redis.ts";
import { type RedisError, toRedisError } from "../../redis/redis-error.ts";
import { connectTracking } from "../../redis/tracking.ts";
import { verdictOf } from "../../redis/verdict.ts";

export interface LinkOptions {
  /** Of the keys that matter. */
  readonly prefix: string;
  /** On which processes tell each other what they changed where Redis does not. */
  readonly channel: string;
  /** Milliseconds between two heartbeats, which are also how long the answer to one may take. */
  readonly heartbeatMs: number;
  /** Milliseconds. */
  readonly clock: () => number;
  readonly onError: (error: RedisError) => void;
}

export interface LinkListener {
  /** What arrived on the channel of Redis, or on that of the processes. */
  heard(message: unknown): void;
  /** Whether it hears, or until when it is trusted, is not what it was. */
  updated(): void;
}

/** The channel on which Redis tells RESP2 connections of changes. */
const INVALIDATIONS = "__redis__:invalidate";

/**
 * Hears of changes in one server, on a connection of its own.
 *
 * `CLIENT TRACKING` redirects to another connection as a rule, and then ends silently when the connection that asked for it is lost
 * (https://github.com/redis/redis/issues/11767). This one redirects to itself: it hears for as long as it is there. That also makes
 * a PING its heartbeat: the answer comes after all that Redis had to tell before, and takes no write, which a full or read-only
 * Redis would refuse.
 */
export class CoherenceLink {
  readonly #redis: Redis;
  readonly #options: LinkOptions;
  readonly #listener: LinkListener;
  #hears: "tracking" | "pub-sub" | null = null;
  #trustedUntil = Number.NEGATIVE_INFINITY;
  /** For the answer to a heartbeat. */
  #isWaiting = false;
  /** Counts the connections that were lost or given up. */
  #attempt = 0;
  /** The connection that is being made may lead to the wrong place. */
  #isOutdated = false;
  #retry: NodeJS.Timeout | null = null;

  /** `server`: a connection to the server that is meant. */
  constructor(server: Redis, options: LinkOptions, listener: LinkListener) {
    this.#options = options;
    this.#listener = listener;
    this.#redis = connectTracking(server, { onError: options.onError });
    this.#redis.on("messageBuffer", (_channel: Buffer, message: unknown) => this.#heard(message));
    this.#redis.on("ready", () => this.#connected());
    this.#redis.on("close", () => this.#turn(null));
  }

  /** How it hears of changes. Null: it does not. */
  get hears(): "tracking" | "pub-sub" | null {
    return this.#hears;
  }

  /** What was heard until then is all that there was to hear, or will be when the next heartbeat is answered. */
  get trustedUntil(): number {
    return this.#trustedUntil;
  }

  /** Sends a heartbeat, and gives the connection up if the one before was not answered. */
  beat(): void {
    if (this.#hears === null) return;
    // When the event loop was late the answer may lie in the socket, which is read before callbacks of setImmediate are called.
    if (this.#isWaiting) setImmediate(() => this.#giveUpOrGoOn());
    else this.#sendPing();
  }

  /** Connects anew, to where the address leads by now. */
  renew(): void {
    this.#turn(null);
    // Behind Sentinels an attempt to connect that is broken off would be the last.
    if (this.#redis.status === "ready") this.#redis.disconnect(true);
    else this.#isOutdated = true;
  }

  async close(): Promise<void> {
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#redis.removeAllListeners("ready").removeAllListeners("messageBuffer");
    await closeRedis(this.#redis);
  }

  #connected(): void {
    if (!this.#isOutdated) return void this.#begin();
    this.#isOutdated = false;
    this.#redis.disconnect(true);
  }

  async #begin(): Promise<void> {
    const attempt = this.#attempt;
    try {
      const hears = await this.#listen();
      await this.#ping();
      if (this.#attempt === attempt) this.#turn(hears);
    } catch (error) {
      if (this.#attempt !== attempt || this.#redis.status !== "ready") return;
      this.#options.onError(toRedisError(error));
      this.#retry = setTimeout(() => this.renew(), this.#options.heartbeatMs).unref();
    }
  }

  async #listen(): Promise<"tracking" | "pub-sub"> {
    try {
      const own = await this.#redis.client("ID");
      await this.#redis.client("TRACKING", "ON", "REDIRECT", own, "BCAST", "PREFIX", this.#options.prefix);
      await this.#redis.subscribe(INVALIDATIONS);
      return "tracking";
    } catch (error) {
      // Forbidden to this user, or unknown to this server.
      const verdict = verdictOf(error);
      if (verdict !== "refused" && verdict !== "answered") throw error;
      await this.#redis.subscribe(this.#options.channel);
      return "pub-sub";
    }
  }

  #giveUpOrGoOn(): void {
    if (this.#hears === null) return;
    if (this.#isWaiting) this.renew();
    else this.#sendPing();
  }

  #sendPing(): void {
    this.#ping().catch(() => undefined);
  }

  async #ping(): Promise<void> {
    const sentAt = this.#options.clock();
    this.#isWaiting = true;
    await this.#redis.ping();
    this.#isWaiting = false;
    this.#trustedUntil = sentAt + 2 * this.#options.heartbeatMs;
    if (this.#hears !== null) this.#listener.updated();
  }

  #heard(message: unknown): void {
    if (this.#hears !== null) this.#listener.heard(message);
  }

  #turn(hears: "tracking" | "pub-sub" | null): void {
    if (hears === null) {
      this.#attempt += 1;
      this.#trustedUntil = Number.NEGATIVE_INFINITY;
      this.#isWaiting = false;
    }
    if (this.#hears === hears) return;
    this.#hears = hears;
    this.#listener.updated();
  }
}
