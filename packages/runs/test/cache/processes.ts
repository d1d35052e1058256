import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PATIENT_MS } from "@mythic/testing/redis";
import { announceChanges } from "../../src/cache/announce-changes.ts";
import { openCaching, type RunCache } from "../../src/cache/open-caching.ts";
import { Reads } from "../../src/cache/reads.ts";
import type { Store } from "../../src/store.ts";
import { openStore } from "../../src/stores/open-store.ts";

/** What a process has of the store and of the cache. */
export interface CachingProcess {
  /** Tells the cache what it changes. */
  readonly store: Store;
  readonly reads: Reads;
  readonly cache: RunCache;
}

const SILENT = { debug: () => undefined, info: () => undefined, warn: () => undefined };

export interface ProcessesOptions {
  readonly count: number;
  /** Null: each is on its own. */
  readonly redisUrl: string | null;
  /** The same store for all, as it is or in a way that a test needs. */
  readonly store: Store;
  readonly namespace?: string;
}

/** Processes that share a store, and a Redis if there is one; each has a cache of its own. */
export async function openProcesses(
  stack: AsyncDisposableStack,
  { count, redisUrl, store, namespace = `test-${randomUUID()}` }: ProcessesOptions,
): Promise<readonly CachingProcess[]> {
  const config = {
    isOn: true,
    redisUrl,
    namespace,
    timeoutMs: PATIENT_MS,
    logLevel: "debug",
    answersTtlMs: 3_600_000,
  } as const;
  const processes: CachingProcess[] = [];
  for (let at = 0; at < count; at++) {
    const place = { dataDir: tmpdir() };
    const { cache } = stack.use(await openCaching({ config, store: place, log: SILENT, reads: true }));
    if (cache === null) throw new Error("The cache is off.");
    if (redisUrl !== null && !(await cache.ready(5_000))) throw new Error("Redis is not there.");
    const announcing = announceChanges(store, cache);
    processes.push({ store: announcing, reads: new Reads(announcing, cache), cache });
  }
  return processes;
}

/** A store in a directory of its own. */
export async function openFreshStore(stack: AsyncDisposableStack): Promise<Store> {
  const dataDir = await mkdtemp(join(tmpdir(), "mythic-cache-"));
  stack.defer(() => rm(dataDir, { recursive: true }));
  return stack.use(await openStore({ dataDir }));
}
