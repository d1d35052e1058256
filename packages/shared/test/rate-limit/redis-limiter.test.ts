import { afterAll, beforeAll } from "@jest/globals";
import { openRateLimiter } from "@mythic/shared/rate-limit";
import { closeRedis, connectRedis, type RedisConnection, waitForRedis } from "@mythic/shared/redis";
import { redisUrl } from "@mythic/testing/redis";
import { startRedisCluster } from "@mythic/testing/redis-cluster";
import { describeLimiter } from "./limiter.suite.ts";
import { clockedRedis, freshNamespace } from "./set-up.ts";

const stack = new AsyncDisposableStack();
const connections = new Map<string, RedisConnection>();

async function connect(name: string, url: string): Promise<void> {
  const redis = stack.adopt(connectRedis(url, "queue-producer"), closeRedis);
  if (!(await waitForRedis(redis, 5_000))) throw new Error(`There is no ${name}.`);
  connections.set(name, redis);
}

beforeAll(async () => {
  await connect("Redis", await redisUrl());
  await connect("a Redis Cluster", stack.use(await startRedisCluster()).url);
});
afterAll(() => stack.disposeAsync());

for (const place of ["Redis", "a Redis Cluster"]) {
  describeLimiter(`limits in ${place}`, (clock) => ({
    clock,
    async open(onDecision) {
      const connection = connections.get(place);
      if (connection === undefined) throw new Error(`There is no ${place}.`);
      const redis = clockedRedis(connection, clock);
      const told = onDecision === undefined ? {} : { onDecision };
      return openRateLimiter({ namespace: freshNamespace(), redis, clock: clock.now, ...told });
    },
  }));
}
