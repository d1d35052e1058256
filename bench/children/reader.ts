import { setTimeout as pause } from "node:timers/promises";
import { type ContenderCache, openContender } from "../caches/cache.ts";
import { readSettings, takeOrders } from "../measuring/orders.ts";

/** Reads a value, has it invalidated while it is being loaded, and reads it again. */
export interface ReaderSettings {
  readonly cache: string;
  readonly redisUrl: string;
}

export interface MidLoad {
  readonly key: string;
  readonly by: "key" | "tag";
  /** Who invalidates: the cache that loads, or another with connections of its own, as in another process. */
  readonly invalidator: "same" | "other";
}

export interface ReaderOrders {
  /** Whether the second read is of what the source then holds; null when the cache has no such invalidation. */
  invalidateInMidLoad(order: MidLoad): Promise<{ readonly fresh: boolean | null }>;
}

const TAG = "book";
/** How long the load goes on after the invalidation: caches that compare clocks can tell the two apart. */
const LOAD_MS = 20;

const { cache: name, redisUrl } = readSettings<ReaderSettings>();
let edition = 1;
let begun = Promise.withResolvers<void>();
let gate = Promise.withResolvers<void>();
const open = () => openContender(name, { redisUrl, tiers: "local and redis", tags: [TAG] }, load);
const same = await open();
const other = await open();

await takeOrders<ReaderOrders>({
  async invalidateInMidLoad({ key, by, invalidator }) {
    begun = Promise.withResolvers();
    gate = Promise.withResolvers();
    const first = same.get(key);
    await begun.promise;
    edition++;
    const isDone = await invalidate(invalidator === "same" ? same : other, key, by);
    await pause(LOAD_MS);
    gate.resolve();
    await first;
    if (!isDone) return { fresh: null };
    const reads = [await same.get(key), await other.get(key)] as readonly { readonly edition: number }[];
    return { fresh: reads.every((read) => read.edition === edition) };
  },
});

/** Reads what there is at the beginning, and takes until the gate is opened. */
async function load(): Promise<unknown> {
  const read = { edition };
  begun.resolve();
  await gate.promise;
  return read;
}

async function invalidate(cache: ContenderCache, key: string, by: "key" | "tag"): Promise<boolean> {
  if (by === "key") await cache.invalidate(key);
  else if (cache.invalidateTag === undefined) return false;
  else await cache.invalidateTag(TAG);
  return true;
}
