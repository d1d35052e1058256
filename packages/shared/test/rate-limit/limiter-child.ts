import { setTimeout as pause } from "node:timers/promises";
import { openRateLimiter } from "@mythic/shared/rate-limit";
import { openGuardedRedis, waitForRedis } from "@mythic/shared/redis";

/**
 * Says `ready`, waits for the others, and calls as often as told, some calls at once. Then says how many passed, and how many
 * of them without asking Redis: `passed <number> alone <number>`.
 */
const { redisUrl, namespace, instances, chunk, limit, calls } = JSON.parse(process.argv[2] ?? "");
const AT_ONCE = 20;

const redis = openGuardedRedis(redisUrl, { commandTimeoutMs: 5_000 });
await waitForRedis(redis, 10_000);
const limiter = openRateLimiter({ namespace, redis, instances });
const shared = { name: "calls", key: "all", limit, periodMs: 24 * 3_600_000, chunk };

process.stdout.write("ready\n");
while ((await redis.run((connection) => connection.exists(`${namespace}:go`))) === 0) await pause(5);

let [passed, alone] = [0, 0];
for (let call = 0; call < calls; call += AT_ONCE) {
  const decisions = await Promise.all(Array.from({ length: AT_ONCE }, () => limiter.limit([shared])));
  for (const { allowed, tier } of decisions) {
    if (allowed) passed += 1;
    if (allowed && tier === "chunk") alone += 1;
  }
}
process.stdout.write(`passed ${passed} alone ${alone}\n`);
await redis.close();
