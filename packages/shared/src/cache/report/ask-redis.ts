import type { Redis } from "ioredis";
import { checkRedis } from "../../redis/check-redis.ts";
import type { GuardedRedis } from "../../redis/guarded-redis.ts";
import { primariesOf } from "../../redis/servers.ts";
import { cachePrefix, parseKey } from "../value-key.ts";
import type { RedisFindings } from "./cache-stats.ts";

/** Of each server. Where there are more, their number is estimated from these. */
const MOST_KEYS = 20_000;
const KEYS_A_STEP = 1_000;

/** Asks Redis for its memory, and how many values of each family it holds. Null when it does not answer. */
export async function askRedis(redis: GuardedRedis, namespace: string): Promise<RedisFindings | null> {
  // What is known to be away is not waited for.
  if (redis.breaker.state === "open") return null;
  const { reachable, usedMemory, maxMemory, evictedKeys } = await checkRedis(redis);
  if (!reachable) return null;
  const prefix = cachePrefix(namespace);
  const keys = new Map<string, number>();
  try {
    for (const server of primariesOf(redis.connection)) {
      for (const [family, count] of await countValues(redis, server, prefix)) {
        keys.set(family, (keys.get(family) ?? 0) + count);
      }
    }
  } catch {
    return null;
  }
  return { usedMemory, maxMemory, evictedKeys, keys };
}

/** SCAN goes through the keys in the order of their hashes, so what it meets first is a fair sample. */
async function countValues(redis: GuardedRedis, server: Redis, prefix: string): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  let cursor = "0";
  let seen = 0;
  do {
    const [next, keys] = await redis.run(() => server.scan(cursor, "COUNT", KEYS_A_STEP));
    cursor = next;
    seen += keys.length;
    for (const key of keys) {
      const family = key.startsWith(prefix) ? familyOfValue(key) : null;
      if (family !== null) counts.set(family, (counts.get(family) ?? 0) + 1);
    }
  } while (cursor !== "0" && seen < MOST_KEYS);
  if (cursor === "0") return counts;
  const all = await redis.run(() => server.dbsize());
  return new Map([...counts].map(([family, count]) => [family, Math.round((count * all) / seen)]));
}

function familyOfValue(key: string): string | null {
  const parts = parseKey(key);
  return parts?.kind === "v" ? parts.family : null;
}
