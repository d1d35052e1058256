import { hash } from "node:crypto";
import { type Channel, channel } from "node:diagnostics_channel";
import { scopeOf } from "../value-key.ts";

/** Where lines are logged; pino fits. */
export interface CacheLog {
  debug(fields: object, line: string): void;
  info(fields: object, line: string): void;
  /** Whether a level's lines are written at all. Without it they are taken to be. */
  isLevelEnabled?(level: string): boolean;
}

export type CacheLogLevel = "debug" | "info";

/** The events of a cache. Each has a channel of `node:diagnostics_channel` called `mythic:cache:<event>`. */
export const CACHE_EVENTS = [
  "hit",
  "miss",
  "load",
  "save",
  "refuse",
  "stale",
  "coalesce",
  "invalidate",
  "evict",
] as const;

type CacheEventName = (typeof CACHE_EVENTS)[number];

/**
 * What is published on a channel, and logged of the events that are logged. There is never a value or a key in it.
 */
export interface CacheEvent {
  readonly namespace: string;
  /** Not there when several families are concerned. */
  readonly family?: string;
  /** The first 8 hexadecimal digits of a hash, so that events of one user, or of one value, can be told from others'. */
  readonly scope?: string;
  readonly key?: string;
  readonly ms?: number;
  readonly tier?: string;
  readonly reason?: string;
  readonly bytes?: number;
  readonly rawBytes?: number;
  readonly count?: number;
}

/** What is known of an event beside its family and key. */
type EventDetails = Omit<CacheEvent, "namespace" | "family" | "scope" | "key">;

const LOGGED: ReadonlySet<CacheEventName> = new Set(["hit", "miss", "save", "invalidate", "stale"]);

export interface EventOptions {
  readonly namespace: string;
  readonly log: CacheLog | null;
  readonly level: CacheLogLevel;
}

/** One event of the cache: who listens to it, and how it is told. */
class EventPort {
  readonly #channel: Channel;
  readonly #line: string;
  readonly #options: EventOptions;
  readonly #log: CacheLog | null;
  #isLogged = false;

  constructor(name: CacheEventName, options: EventOptions) {
    this.#channel = channel(`mythic:cache:${name}`);
    this.#line = name.toUpperCase();
    this.#options = options;
    this.#log = LOGGED.has(name) ? options.log : null;
    this.readLevel();
  }

  /** Cheap enough to be asked at each hit. */
  get isHeard(): boolean {
    return this.#isLogged || this.#channel.hasSubscribers;
  }

  /** Asks the log whether it writes lines of our level, which may have changed. */
  readLevel(): void {
    this.#isLogged = this.#log !== null && (this.#log.isLevelEnabled?.(this.#options.level) ?? true);
  }

  tell(family: string, key: string, details: EventDetails): void {
    const { namespace } = this.#options;
    const scope = digest(`${namespace}\0${scopeOf(key)}`);
    this.#tell({ namespace, family, scope, key: digest(key), ...details });
  }

  /** Tells of what concerns no value, or many. */
  tellAtLarge(details: EventDetails & { readonly family?: string }): void {
    this.#tell({ namespace: this.#options.namespace, ...details });
  }

  #tell(event: CacheEvent): void {
    const rounded = event.ms === undefined ? event : { ...event, ms: Math.round(event.ms * 100) / 100 };
    if (this.#channel.hasSubscribers) this.#channel.publish(rounded);
    if (this.#isLogged) this.#log?.[this.#options.level](rounded, this.#line);
  }
}

export type CacheEventPorts = Readonly<Record<CacheEventName, EventPort>>;

export function openPorts(options: EventOptions): CacheEventPorts {
  const ports = CACHE_EVENTS.map((name) => [name, new EventPort(name, options)] as const);
  return Object.fromEntries(ports) as Record<CacheEventName, EventPort>;
}

const digest = (text: string) => hash("sha256", text).slice(0, 8);
