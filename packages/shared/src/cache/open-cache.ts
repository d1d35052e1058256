import type { GuardedRedis } from "../redis/guarded-redis.ts";
import type { RedisError } from "../redis/redis-error.ts";
import type { Cache, Families } from "./cache.ts";
import { CacheView } from "./cache-view.ts";
import type { CoherenceFeed } from "./coherence-feed.ts";
import { Invalidator } from "./invalidator.ts";
import { Loads } from "./loads.ts";
import { LruTier } from "./local/lru-tier.ts";
import { openCoherenceFeed } from "./local/open-coherence-feed.ts";
import { ReadMarks } from "./local/read-marks.ts";
import { RedisAccess } from "./redis-access.ts";
import type { CacheLog, CacheLogLevel } from "./report/cache-events.ts";
import { openCacheReport } from "./report/open-cache-report.ts";
import { Tiers } from "./tiers.ts";
import { cachePrefix, familyOf } from "./value-key.ts";

export interface CacheOptions<Defined extends Families> {
  /** What all keys begin with: letters, digits and hyphens. */
  readonly namespace: string;
  readonly families: Defined;
  /** Null: values are kept in this process alone. */
  readonly redis: GuardedRedis | null;
  /** The memory of this process. Null: not used. 64 MiB unless told. */
  readonly local?: { readonly maxBytes: number } | null;
  readonly log?: CacheLog;
  /** Of the lines HIT, MISS, SAVE, INVALIDATE and STALE. `debug` unless told. */
  readonly logLevel?: CacheLogLevel;
  /** Milliseconds, never going back. The clock of `performance` unless told. */
  readonly clock?: () => number;
  /** How long after its death a process that was loading a value is waited for. 5,000 unless told. */
  readonly leaseMs?: number;
  /** How long the error of a load stands for all who ask. 1,000 unless told. */
  readonly failureTtlMs?: number;
  /**
   * How long a value is kept in this process at most while nobody tells it of the changes of others, since Redis is missing or did not take the
   * value. 1,000 unless told; without Redis by configuration, as long as its family says.
   */
  readonly aloneTtlMs?: number;
  /** A change in Redis that was not heard of is noticed within two of these. 1,000 unless told. */
  readonly heartbeatMs?: number;
  /** Told of what is wrong with the feed of changes. */
  readonly onError?: (error: RedisError) => void;
}

const LOCAL_BYTES = 64 * 1_024 * 1_024;
const LEASE_MS = 5_000;
const FAILURE_TTL_MS = 1_000;
const ALONE_TTL_MS = 1_000;
const NAMESPACE = /^[A-Za-z0-9-]+$/;

/**
 * Opens a cache. Returns at once; until Redis is connected, values are kept in this process alone.
 *
 * @throws TypeError when two families have the same name, or a name will not do
 */
export function openCache<const Defined extends Families>(options: CacheOptions<Defined>): Cache<Defined> {
  const { namespace, families, redis, clock = () => performance.now(), onError } = options;
  if (!NAMESPACE.test(namespace)) throw new TypeError(`"${namespace}" is no namespace.`);
  // Before anything is opened that would have to be closed.
  demandDistinctNames(families);
  const prefix = cachePrefix(namespace);
  const feed = redis === null ? NO_FEED : openFeed(redis, options);
  const local =
    options.local === null ? null : openTier(options, (family) => report.family(family).evicted());
  const report = openReport(options, local);
  const told = (keys: readonly string[]) => feed.publish(keys);
  const access = redis === null ? null : new RedisAccess({ redis, prefix, clock, told });
  const { aloneTtlMs = redis === null ? Number.POSITIVE_INFINITY : ALONE_TTL_MS } = options;
  const tiers = new Tiers({ now: clock, local, marks: new ReadMarks(), access, feed, aloneTtlMs });
  const { leaseMs = LEASE_MS, failureTtlMs = FAILURE_TTL_MS } = options;
  const loads = new Loads({ tiers, report, leaseMs, failureTtlMs });
  const invalidator = new Invalidator({ prefix, tiers, loads, report });
  feed.start({
    invalidated(keys) {
      tiers.invalidated(keys);
      loads.touch(keys);
    },
    flushed() {
      tiers.flushed();
      loads.touchAll();
    },
  });
  const core = { prefix, tiers, loads, invalidator, report };
  const close = async () => {
    loads.close();
    await access?.close();
    await Promise.all([feed.close(), report.close()]);
  };
  return new CacheView<Defined>(families, { ...core, path: "", close });

  function openFeed(server: GuardedRedis, { heartbeatMs }: CacheOptions<Defined>): CoherenceFeed {
    return openCoherenceFeed({
      redis: server,
      prefix,
      clock,
      ...(heartbeatMs === undefined ? {} : { heartbeatMs }),
      ...(onError === undefined ? {} : { onError }),
    });
  }
}

function demandDistinctNames(families: Families): void {
  const names = new Set<string>();
  for (const { name } of Object.values(families)) {
    if (names.has(name)) throw new TypeError(`There are two families called ${name}.`);
    names.add(name);
  }
}

function openTier(
  { local }: Pick<CacheOptions<Families>, "local">,
  onEvict: (family: string) => void,
): LruTier {
  return new LruTier({ maxBytes: local?.maxBytes ?? LOCAL_BYTES, familyOf, onEvict });
}

function openReport(
  { namespace, redis, log, logLevel, clock }: CacheOptions<Families>,
  local: LruTier | null,
) {
  const none = { bytes: 0, maxBytes: 0, size: 0, evictions: 0, sizeOf: () => 0 };
  return openCacheReport({
    namespace,
    redis,
    local: () => local ?? none,
    ...(log === undefined ? {} : { log }),
    ...(logLevel === undefined ? {} : { logLevel }),
    ...(clock === undefined ? {} : { clock }),
  });
}

/** Without Redis there is nobody to hear of. */
const NO_FEED: CoherenceFeed = {
  state: "off",
  trustedUntil: Number.POSITIVE_INFINITY,
  start: () => undefined,
  publish: () => undefined,
  close: () => Promise.resolve(),
};
