import type { BreakerSnapshot } from "./circuit-breaker.ts";
import { lastRedisError } from "./connect-redis.ts";
import type { GuardedRedis } from "./guarded-redis.ts";
import type { RedisConnection } from "./redis-connection.ts";
import { RedisError, toRedisError } from "./redis-error.ts";
import { compareVersions, joinInfos, NO_INFO, readInfo, type ServerInfo } from "./server-info.ts";
import { primariesOf } from "./servers.ts";
import { withinMs } from "./within-ms.ts";

/** Debian 12 has 7.0; what is older lacks options of commands that are used here. */
export const OLDEST_REDIS = "7.0";

/** An answer that takes longer than this is none, for whoever asks about health. */
const PATIENCE_MS = 900;

export interface RedisHealth extends ServerInfo {
  /** Of a Cluster: whether all of its primaries are. */
  readonly reachable: boolean;
  /** Of one command, to and fro, in milliseconds; of a Cluster the slowest. Null when it was not answered. */
  readonly latencyMs: number | null;
  /** Null when there is none around the connection. */
  readonly breaker: BreakerSnapshot | null;
  /** Why Redis is not reachable, or what is wrong with the one that is: one that is too old, or refuses what it is asked. */
  readonly lastError: string | null;
}

/** Asks Redis how it is. Answers within a second, whatever state it is in, and never rejects. */
export async function checkRedis(redis: RedisConnection | GuardedRedis): Promise<RedisHealth> {
  const guard = "breaker" in redis ? redis : null;
  const connection = guard?.connection ?? (redis as RedisConnection);
  const before = performance.now();
  try {
    const info = await askAll(connection);
    const latencyMs = Math.round((performance.now() - before) * 100) / 100;
    const breaker = guard?.breaker.snapshot() ?? null;
    const lastError = tooOld(info.version) ?? (breaker === null ? null : troubleOf(breaker));
    return { reachable: true, latencyMs, ...info, breaker, lastError };
  } catch (error) {
    const lastError = toRedisError(error).message;
    const breaker = guard?.breaker.snapshot() ?? null;
    return { reachable: false, latencyMs: null, ...NO_INFO, breaker, lastError };
  }
}

async function askAll(connection: RedisConnection): Promise<ServerInfo> {
  if (connection.status !== "ready") {
    throw new RedisError(lastRedisError(connection) ?? "There is no connection to Redis.");
  }
  const replies = Promise.all(primariesOf(connection).map((primary) => primary.info()));
  const infos = await withinMs(replies, PATIENCE_MS, "Redis does not answer.");
  return joinInfos(infos.map(readInfo));
}

/** What speaks against a Redis that answers. */
function troubleOf({ state, lastError, refusal }: BreakerSnapshot): string | null {
  return state === "closed" ? refusal : lastError;
}

function tooOld(version: string | null): string | null {
  if (version === null || compareVersions(version, OLDEST_REDIS) >= 0) return null;
  return `Redis ${version} is too old: ${OLDEST_REDIS} or newer is needed.`;
}
