import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll } from "@jest/globals";
import { type CacheOptions, type Families, openCache } from "@mythic/shared/cache";
import { type GuardedRedis, openGuardedRedis, primariesOf } from "@mythic/shared/redis";
import { PATIENT_MS, startRedis, type TestRedis } from "@mythic/testing/redis";
import { startRedisCluster } from "@mythic/testing/redis-cluster";
import { Redis } from "ioredis";
import { DrivenClock } from "./driven-clock.ts";
import { type NoteOptions, noteFamily } from "./note.ts";

/** What the suite of the cache runs on. */
export interface SetUp {
  readonly clock: DrivenClock;
  /** Whether the memory of the process is used. */
  readonly hasLocal: boolean;
  /** Whether Redis is there for the first half of the suite, and for the second one. */
  readonly hasRedis: { readonly before: boolean; readonly after: boolean };
  /** Removes all keys, without a word to the cache. */
  flush(): Promise<void>;
  /** Opens a cache that is ready, with keys of its own unless a namespace is given. It is closed after the test. */
  open<const Defined extends Families>(
    families: Defined,
    options?: Partial<CacheOptions<Defined>>,
  ): Promise<ReturnType<typeof openCache<Defined>>>;
  /** What happens between the two halves of the suite. */
  turn(): Promise<void>;
}

export interface SetUpOptions {
  /** Null: without Redis. `untracked`: one that does not tell of changes, so that caches tell each other. */
  readonly redis: "server" | "untracked" | "cluster" | null;
  readonly hasLocal: boolean;
  /** Does to Redis what it has to bear in mid-suite. */
  readonly turn?: (server: TestRedis) => Promise<void>;
  /** Whether Redis can be used after that. */
  readonly isUsableAfterTurn?: boolean;
}

/** Makes a set-up for the tests of a file. One Redis and one connection serve them all. */
export function useSetUp({ redis, hasLocal, turn, isUsableAfterTurn = true }: SetUpOptions): SetUp {
  const clock = new DrivenClock();
  const suite = new AsyncDisposableStack();
  let single = new AsyncDisposableStack();
  let guard: GuardedRedis | null = null;
  let server: TestRedis | null = null;
  let isUsable = redis !== null;
  let count = 0;

  beforeAll(async () => {
    if (redis === null) return;
    if (redis !== "cluster") server = suite.use(await startRedis());
    const { url } = server ?? suite.use(await startRedisCluster());
    if (redis === "untracked") await forbidTracking(url);
    const address = redis === "untracked" ? url.replace("//", `//${UNTRACKED}:secret@`) : url;
    // Of one that freezes in mid-suite somebody waits for the time-out.
    const commandTimeoutMs = isUsableAfterTurn ? PATIENT_MS : 1_500;
    guard = openGuardedRedis(address, { commandTimeoutMs });
    suite.defer(() => guard?.close());
  });
  afterEach(async () => {
    await single.disposeAsync();
    single = new AsyncDisposableStack();
  });
  afterAll(() => suite.disposeAsync());

  return {
    clock,
    hasLocal,
    hasRedis: { before: redis !== null, after: redis !== null && isUsableAfterTurn },
    async flush() {
      if (guard !== null)
        await Promise.all(primariesOf(guard.connection).map((primary) => primary.flushall()));
    },
    async open(families, options = {}) {
      count += 1;
      const local = hasLocal ? { maxBytes: 10_000_000 } : null;
      const common = { namespace: `test-${count}`, families, redis: guard, local, clock: clock.now };
      const cache = openCache({ ...common, ...PATIENCE, ...options });
      single.defer(() => cache.close());
      if (isUsable && !(await cache.ready(10_000))) throw new Error("Redis cannot be used.");
      return cache;
    },
    async turn() {
      if (turn && server) await turn(server);
      isUsable &&= isUsableAfterTurn;
    },
  };
}

/**
 * A test may drive the clock for as long as it likes without memory being distrusted for want of heartbeats, and without values being forgotten for want of
 * anybody who tells of their changes.
 */
const PATIENCE = { heartbeatMs: 86_400_000, aloneTtlMs: Number.POSITIVE_INFINITY };

const UNTRACKED = "untracked";

async function forbidTracking(url: string): Promise<void> {
  const redis = new Redis(url);
  await redis.acl("SETUSER", UNTRACKED, "on", ">secret", "~*", "&*", "+@all", "-client|tracking");
  redis.disconnect();
}

/** A cache of notes alone, and its family. */
export async function openNotes(
  setUp: SetUp,
  options: NoteOptions = {},
  more: Partial<CacheOptions<Families>> = {},
) {
  const cache = await setUp.open({ notes: noteFamily(options) }, more as object);
  return { cache, notes: cache.families.notes };
}

/**
 * Two caches of notes with the same keys, as two processes have them. They are opened at once: the time of Redis, by which they agree on when values end, goes on
 * while the test's clock stands still.
 */
export async function openTwo(
  setUp: SetUp,
  options: NoteOptions = {},
  more: Partial<CacheOptions<Families>> = {},
) {
  const namespace = `two-${randomUUID()}`;
  const open = () => openNotes(setUp, options, { namespace, ...more });
  const [here, there] = await Promise.all([open(), open()]);
  return { here, there };
}
