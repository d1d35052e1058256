import { randomUUID } from "node:crypto";
import { channel } from "node:diagnostics_channel";
import type { Redis } from "ioredis";
import type { GuardedRedis } from "../../redis/guarded-redis.ts";
import type { RedisError } from "../../redis/redis-error.ts";
import { primariesOf } from "../../redis/servers.ts";
import type { CoherenceFeed, CoherenceListener, CoherenceState } from "../coherence-feed.ts";
import { readPushedChanges, readToldChanges } from "./changes.ts";
import { CoherenceLink, type LinkOptions } from "./coherence-link.ts";
import { Teller } from "./teller.ts";

export interface CoherenceOptions {
  readonly redis: GuardedRedis;
  /** Of the keys whose changes matter: `mythic:c:`. */
  readonly prefix: string;
  /** Between two heartbeats. 1,000 unless told. A copy whose change was not heard of is used for two heartbeats at most. */
  readonly heartbeatMs?: number;
  /** Milliseconds, never going back. The clock of `performance` unless told. */
  readonly clock?: () => number;
  /** Told of each kind of error at most once in ten seconds; the feed goes on trying all the same. */
  readonly onError?: (error: RedisError) => void;
}

/**
 * Hears of changes in Redis: by tracking, and by what the processes tell each other where that is forbidden. It is to be forbidden to all
 * processes of a cache or to none, as those that track tell nobody.
 */
export function openCoherenceFeed(options: CoherenceOptions): CoherenceFeed {
  return new RedisFeed(options);
}

/** Of a Cluster: it came to know a server or forgot one, or looked up who has which keys. */
const TOPOLOGY_EVENTS = ["+node", "-node", "refresh"] as const;

/** Gets `{ prefix, state }` each time that everything kept has become invalid. */
const COHERENCE = channel("mythic:cache:coherence");

/** One link to each server that takes writes. All of them must hear, as each of them has keys that the others have not. */
class RedisFeed implements CoherenceFeed {
  readonly #redis: GuardedRedis;
  readonly #name = randomUUID();
  readonly #options: LinkOptions;
  readonly #teller: Teller;
  readonly #links = new Map<string, CoherenceLink>();
  #listener: CoherenceListener | null = null;
  #state: CoherenceState = "off";
  #trustedUntil = Number.POSITIVE_INFINITY;
  #stop: (() => void) | null = null;

  constructor(options: CoherenceOptions) {
    const { redis, prefix, heartbeatMs = 1_000, clock = () => performance.now(), onError } = options;
    const channel = `${prefix}changes`;
    this.#redis = redis;
    this.#options = { prefix, channel, heartbeatMs, clock, onError: onError ?? (() => undefined) };
    this.#teller = new Teller(redis, channel, this.#name);
  }

  get state(): CoherenceState {
    return this.#state;
  }

  get trustedUntil(): number {
    return this.#trustedUntil;
  }

  start(listener: CoherenceListener): void {
    this.#listener = listener;
    const { breaker, connection } = this.#redis;
    const timer = setInterval(() => this.#beat(), this.#options.heartbeatMs).unref();
    const leave = breaker.onChange(() => this.#breakerTurned());
    const follow = () => this.#followServers();
    for (const event of TOPOLOGY_EVENTS) connection.on(event, follow);
    this.#stop = () => {
      clearInterval(timer);
      leave();
      for (const event of TOPOLOGY_EVENTS) connection.off(event, follow);
    };
    this.#breakerTurned();
  }

  publish(keys: readonly string[]): void {
    if (this.#state === "tracking") return;
    this.#teller.remember(keys);
    if (this.#state === "pub-sub") void this.#teller.send();
  }

  async close(): Promise<void> {
    this.#stop?.();
    this.#listener = null;
    await Promise.all([...this.#links.values()].map((link) => link.close()));
  }

  get #isRedisThere(): boolean {
    return this.#redis.breaker.state === "closed";
  }

  #beat(): void {
    // A Cluster whose look-up failed may have changed without an event.
    this.#followServers();
    for (const link of this.#links.values()) link.beat();
    if (this.#state === "pub-sub") void this.#teller.send();
  }

  #breakerTurned(): void {
    if (this.#isRedisThere) {
      // The address may lead elsewhere by now: another server behind the name, or the one that the Sentinels chose. The
      // connection for commands is there already, so a link made after it leads to where that leads.
      for (const link of this.#links.values()) link.renew();
      this.#followServers();
    }
    this.#update();
  }

  /** Has a link to each server, and to no other. */
  #followServers(): void {
    if (!this.#isRedisThere) return;
    const servers = new Map(primariesOf(this.#redis.connection).map((server) => [addressOf(server), server]));
    const gone = [...this.#links].filter(([address]) => !servers.has(address));
    for (const [address, link] of gone) {
      this.#links.delete(address);
      void link.close();
    }
    for (const [address, server] of servers) {
      if (!this.#links.has(address)) this.#links.set(address, this.#linkTo(server));
    }
    this.#update();
    if (gone.length > 0) this.#flush();
  }

  #linkTo(server: Redis): CoherenceLink {
    const link: CoherenceLink = new CoherenceLink(server, this.#options, {
      heard: (message) => this.#heard(link, message),
      updated: () => this.#update(),
    });
    return link;
  }

  #heard(link: CoherenceLink, message: unknown): void {
    const changes =
      link.hears === "tracking" ? readPushedChanges(message) : readToldChanges(this.#name, message);
    if (changes === null) this.#flush();
    else if (changes.length > 0) this.#listener?.invalidated(changes);
  }

  #flush(): void {
    this.#listener?.flushed();
    if (COHERENCE.hasSubscribers) COHERENCE.publish({ prefix: this.#options.prefix, state: this.#state });
  }

  #update(): void {
    const state = this.#findState();
    this.#trustedUntil = this.#findTrust(state);
    if (state === this.#state) return;
    this.#state = state;
    if (state === "pub-sub") void this.#teller.send();
    if (state === "tracking") this.#teller.forget();
    this.#flush();
  }

  #findState(): CoherenceState {
    if (!this.#isRedisThere) return "off";
    const all = new Set([...this.#links.values()].map((link) => link.hears));
    if (all.size === 0 || all.has(null)) return "lost";
    return all.has("pub-sub") ? "pub-sub" : "tracking";
  }

  #findTrust(state: CoherenceState): number {
    if (state === "off") return Number.POSITIVE_INFINITY;
    if (state === "lost") return Number.NEGATIVE_INFINITY;
    return Math.min(...[...this.#links.values()].map((link) => link.trustedUntil));
  }
}

const addressOf = ({ options: { host, port } }: Redis) => `${host}:${port}`;
