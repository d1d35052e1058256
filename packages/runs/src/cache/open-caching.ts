import { type Cache, type CacheLog, openCache } from "@mythic/shared/cache";
import { type GuardedRedis, openGuardedRedis } from "@mythic/shared/redis";
import { type CacheFamilies, cacheFamilies } from "../cache-families.ts";
import { cacheNamespace, type StorePlace } from "./cache-namespace.ts";
import type { CacheConfig } from "./settings.ts";

/** The cache of everything that API and worker share. */
export type RunCache = Cache<CacheFamilies>;

/** The cache of a process and what it needs. */
export interface Caching extends AsyncDisposable {
  /** Null when it is switched off. */
  readonly cache: RunCache | null;
  /** The Redis of the cache, for other things that may be lost. Null when there is none. */
  readonly redis: GuardedRedis | null;
  /** What keys begin with. */
  readonly namespace: string;
}

export interface CachingOptions {
  readonly config: CacheConfig;
  readonly store: StorePlace;
  readonly log: CacheLog & { warn(fields: object, line: string): void };
  /** False in a process that writes and does not read: it keeps nothing in its memory. */
  readonly reads: boolean;
}

/** Other processes change what is in the same store, and without Redis nobody tells of it. */
const ALONE_TTL_MS = 1_000;

/** Opens what the configuration says. Returns at once, also when Redis is down: then it is used as soon as it is there. */
export async function openCaching({ config, store, log, reads }: CachingOptions): Promise<Caching> {
  const { isOn, redisUrl, timeoutMs, logLevel, answersTtlMs } = config;
  const namespace = config.namespace ?? (await cacheNamespace(store));
  const onError = (error: unknown) => log.warn({ err: error }, "cache");
  await using stack = new AsyncDisposableStack();
  const redis =
    redisUrl === null ? null : openGuardedRedis(redisUrl, { onError, commandTimeoutMs: timeoutMs });
  if (redis !== null) stack.defer(() => redis.close());
  const cache = isOn
    ? openCache({
        namespace,
        // The answer to a request stays an answer to it, whoever changes what. Where there never is a Redis, this is all that keeps it.
        families: cacheFamilies({
          answersTtlMs,
          ...(redis === null ? { answersAloneTtlMs: answersTtlMs } : {}),
        }),
        redis,
        log,
        logLevel,
        onError,
        aloneTtlMs: ALONE_TTL_MS,
        ...(reads ? {} : { local: null }),
      })
    : null;
  if (cache !== null) stack.defer(() => cache.close());
  const held = stack.move();
  return { cache, redis, namespace, [Symbol.asyncDispose]: () => held.disposeAsync() };
}
