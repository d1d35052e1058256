import type { Redis } from "ioredis";
import type { GuardedRedis } from "../redis/guarded-redis.ts";
import { primariesOf } from "../redis/servers.ts";
import { createMatcher, type Selection, scanPattern } from "./selection.ts";
import { withKind } from "./value-key.ts";

/** What is to be invalidated in Redis. The keys are full Redis keys. */
export type Removal =
  | { readonly kind: "value"; readonly key: string }
  | { readonly kind: "tags"; readonly keys: readonly string[] }
  | { readonly kind: "matching"; readonly prefix: string; readonly selection: Selection };

/** Keys looked at by one SCAN. */
const SCAN_COUNT = 500;

/**
 * Removes values from Redis together with the leases of those who load them, so that what is being loaded is not stored. Answers how many values (or
 * tags) there were. `told` hears of all keys that are gone.
 */
export async function applyRemoval(
  redis: GuardedRedis,
  removal: Removal,
  told: (keys: readonly string[]) => void,
): Promise<number> {
  switch (removal.kind) {
    case "value": {
      const keys = [removal.key, withKind(removal.key, "l"), withKind(removal.key, "e")];
      const count = await redis.run((connection) => connection.del(keys));
      told(keys);
      return count;
    }
    case "tags": {
      const count = await redis.run((connection) => connection.del([...removal.keys]));
      told(removal.keys);
      return count;
    }
    case "matching": {
      const counts = await Promise.all(
        primariesOf(redis.connection).map((server) => removeFrom(redis, server, removal, told)),
      );
      return counts.reduce((sum, count) => sum + count, 0);
    }
  }
}

async function removeFrom(
  redis: GuardedRedis,
  server: Redis,
  { prefix, selection }: Extract<Removal, { kind: "matching" }>,
  told: (keys: readonly string[]) => void,
): Promise<number> {
  const matches = createMatcher(selection);
  const pattern = scanPattern(prefix, selection);
  let count = 0;
  const removeAll = async () => {
    let steps = 0;
    let cursor = "0";
    do {
      const [next, found] = await redis.run(() => server.scan(cursor, "MATCH", pattern, "COUNT", SCAN_COUNT));
      cursor = next;
      steps += 1;
      count += await unlink(redis, server, found.filter(matches), told);
    } while (cursor !== "0");
    return steps;
  };
  // What was stored at a place that SCAN had passed, under a lease that it had not come to, is left. It finds all others' leases, so a second
  // time is enough; one step sees everything at once.
  if ((await removeAll()) > 1) await removeAll();
  return count;
}

/** Removes keys with their companions: who holds a lease that was found may store its value before the lease is removed. Answers how many values there were. */
async function unlink(
  redis: GuardedRedis,
  server: Redis,
  found: readonly string[],
  told: (keys: readonly string[]) => void,
): Promise<number> {
  if (found.length === 0) return 0;
  const values = [...new Set(found.map((key) => withKind(key, "v")))];
  // One by one, as they are in different slots of a Cluster.
  const pipeline = server.pipeline();
  for (const key of values) pipeline.unlink(key).unlink(withKind(key, "l"), withKind(key, "e"));
  const outcomes = (await redis.run(() => pipeline.exec())) ?? [];
  // A pipeline does not reject.
  for (const [error] of outcomes) if (error !== null) throw error;
  told(values.flatMap((key) => [key, withKind(key, "l"), withKind(key, "e")]));
  return outcomes.reduce((sum, [, reply], index) => sum + (index % 2 === 0 ? Number(reply) : 0), 0);
}
