import { type GuardedRedis, openGuardedRedis, type RedisAddress } from "@mythic/shared/redis";
import { waitFor } from "@mythic/testing/wait";
import { Redis } from "ioredis";
import type { CoherenceFeed, CoherenceListener, CoherenceState } from "../../src/cache/coherence-feed.ts";
import { openCoherenceFeed } from "../../src/cache/local/open-coherence-feed.ts";

export const PREFIX = "test:c:";
/** Short, so that a missed heartbeat is noticed soon, and yet two of them longer than a busy machine keeps a process waiting. */
export const HEARTBEAT_MS = 500;

/** A feed with all that was heard from it. */
export interface Listening extends AsyncDisposable {
  readonly redis: GuardedRedis;
  readonly feed: CoherenceFeed;
  /** Keys that were told to be invalid, in that order. */
  readonly keys: string[];
  readonly errors: Error[];
  /** The state at each time that everything was told to be invalid. */
  readonly states: readonly CoherenceState[];
  /** How often everything was told to be invalid. */
  flushes(): number;
  /** Whether copies may be used at this moment. */
  isTrusted(): boolean;
  reaches(state: CoherenceState, timeoutMs?: number): Promise<void>;
  hears(key: string): Promise<void>;
  /** Waits until everything was told to be invalid once more than `before`. */
  isFlushedAfter(before: number): Promise<void>;
}

export interface ListenOptions extends Partial<CoherenceListener> {
  readonly clock?: () => number;
}

/** Listens to a server. What is heard is passed on to whoever asks for it, too. */
export function listen(address: RedisAddress, options: ListenOptions = {}): Listening {
  const { clock = () => performance.now(), invalidated, flushed } = options;
  const redis = openGuardedRedis(address, { probeAfterMs: 200, commandTimeoutMs: 1_000 });
  const keys: string[] = [];
  const states: CoherenceState[] = [];
  const errors: Error[] = [];
  const onError = (error: Error) => errors.push(error);
  const feed = openCoherenceFeed({ redis, prefix: PREFIX, heartbeatMs: HEARTBEAT_MS, clock, onError });
  feed.start({
    invalidated(changed) {
      invalidated?.(changed);
      keys.push(...changed);
    },
    flushed() {
      flushed?.();
      states.push(feed.state);
    },
  });
  return {
    redis,
    feed,
    keys,
    errors,
    states,
    flushes: () => states.length,
    isTrusted: () => clock() < feed.trustedUntil,
    async reaches(state, timeoutMs = 10_000) {
      await waitFor(() => feed.state === state, { what: `the feed to be ${state}`, everyMs: 2, timeoutMs });
    },
    async hears(key) {
      await waitFor(() => keys.includes(key), { what: `news of ${key}`, everyMs: 2 });
    },
    async isFlushedAfter(before) {
      await waitFor(() => states.length > before, { what: "a flush", everyMs: 2 });
    },
    async [Symbol.asyncDispose]() {
      await feed.close();
      await redis.close();
    },
  };
}

/** A client that knows nothing of caches. */
export async function connectStranger(url: string): Promise<Redis & AsyncDisposable> {
  const redis = new Redis(url, { retryStrategy: () => 20 });
  // Some tests stop the server under it.
  redis.on("error", () => undefined);
  return Object.assign(redis, {
    async [Symbol.asyncDispose]() {
      redis.disconnect();
    },
  });
}

/** Ends all connections of this name, as an administrator would, and gives their number. */
export async function killConnections(stranger: Redis, name: string): Promise<number> {
  const list = String(await stranger.client("LIST")).split("\n");
  const ids = list
    .filter((line) => line.includes(` name=${name} `))
    .map((line) => /^id=(\d+)/.exec(line)?.[1]);
  for (const id of ids) await stranger.client("KILL", "ID", String(id));
  return ids.length;
}
