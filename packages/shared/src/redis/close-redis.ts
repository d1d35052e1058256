import type { RedisConnection } from "./redis-connection.ts";
import { withinMs } from "./within-ms.ts";

/** How long commands on their way may take to be answered. */
const GRACE_MS = 500;

/** Ends a connection for good: politely when Redis answers, else at once. Never rejects; doing it twice is fine. */
export async function closeRedis(redis: RedisConnection): Promise<void> {
  if (redis.status === "ready") {
    // Redis answers what was sent before QUIT first. If it does not answer at all, there is nothing left to be polite to.
    await withinMs(redis.quit(), GRACE_MS, "Redis does not answer.").catch(() => undefined);
  }
  if (redis.status !== "end") end(redis);
}

function end(redis: RedisConnection): void {
  const isLost = redis.status === "reconnecting";
  redis.once("connect", () => redis.disconnect());
  redis.disconnect();
  // A connection that waits to be tried again keeps silent to those who wait for answers, for ever. One last attempt,
  // whatever comes of it, ends it and rejects what is waiting.
  if (isLost) redis.connect().catch(() => undefined);
}
