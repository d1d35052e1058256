import type { Redis } from "ioredis";
import { lastRedisError } from "./connect-redis.ts";
import { toRedisError } from "./redis-error.ts";
import { withinMs } from "./within-ms.ts";

/** Debian 12 has 7.0; what is older lacks options of commands that are used here. */
export const OLDEST_REDIS = "7.0";

/** An answer that takes longer than this is none, for whoever asks about health. */
const PATIENCE_MS = 900;

export interface RedisHealth {
  readonly reachable: boolean;
  /** Of one command, to and fro, in milliseconds. Null when it was not answered. */
  readonly latencyMs: number | null;
  readonly version: string | null;
  /** Bytes. */
  readonly usedMemory: number | null;
  /** Bytes. Null when there is no limit, or no answer. */
  readonly maxMemory: number | null;
  /** What Redis does when memory is full: `noeviction`, `allkeys-lfu` … */
  readonly policy: string | null;
  /** Why Redis is not reachable, or what is wrong with the one that is. */
  readonly lastError: string | null;
}

/** Asks Redis how it is. Answers within a second, whatever state it is in, and never rejects. */
export async function checkRedis(redis: Redis): Promise<RedisHealth> {
  const before = performance.now();
  try {
    if (redis.status !== "ready")
      throw new Error(lastRedisError(redis) ?? "There is no connection to Redis.");
    const info = await withinMs(redis.info(), PATIENCE_MS, "Redis does not answer.");
    return readInfo(info, performance.now() - before);
  } catch (error) {
    const lastError = toRedisError(error).message;
    return { ...UNREACHABLE, lastError };
  }
}

const UNREACHABLE: Omit<RedisHealth, "lastError"> = {
  reachable: false,
  latencyMs: null,
  version: null,
  usedMemory: null,
  maxMemory: null,
  policy: null,
};

/** Reads the reply of INFO: lines of `name:value`. */
export function readInfo(info: string, latencyMs: number): RedisHealth {
  const field = (name: string) => new RegExp(`^${name}:(.*?)\\r?$`, "m").exec(info)?.[1] ?? null;
  const bytes = (name: string) => {
    const text = field(name);
    return text === null ? null : Number(text);
  };
  const version = field("redis_version");
  return {
    reachable: true,
    latencyMs: Math.round(latencyMs * 100) / 100,
    version,
    usedMemory: bytes("used_memory"),
    maxMemory: bytes("maxmemory") || null,
    policy: field("maxmemory_policy"),
    lastError: version !== null && isTooOld(version) ? tooOld(version) : null,
  };
}

const tooOld = (version: string) => `Redis ${version} is too old: ${OLDEST_REDIS} or newer is needed.`;

function isTooOld(version: string): boolean {
  return version.localeCompare(OLDEST_REDIS, "en", { numeric: true }) < 0;
}
