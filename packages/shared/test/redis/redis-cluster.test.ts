import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import {
  checkRedis,
  closeRedis,
  connectRedis,
  connectTracking,
  openGuardedRedis,
  primariesOf,
  type RedisConnectionKind,
  RedisTimeout,
  waitForRedis,
} from "@mythic/shared/redis";
import { startRedisCluster, type TestRedisCluster } from "@mythic/testing/redis-cluster";
import { waitFor } from "@mythic/testing/wait";
import { Redis } from "ioredis";

const KINDS: readonly RedisConnectionKind[] = ["cache", "queue-producer", "queue-consumer", "tracking"];
/** One in the slots of each of three primaries. */
const KEYS = ["b", "c", "a"] as const;

/** Without replicas; a server that is silent stays a part of it. */
let lone: TestRedisCluster;
/** With a replica for each primary. */
let paired: TestRedisCluster;
let stack: AsyncDisposableStack;

beforeAll(async () => {
  [lone, paired] = await Promise.all([
    startRedisCluster({ nodeTimeoutMs: 60_000 }),
    startRedisCluster({ replicas: 1 }),
  ]);
});
afterAll(async () => {
  await lone[Symbol.asyncDispose]();
  await paired[Symbol.asyncDispose]();
});
beforeEach(() => {
  stack = new AsyncDisposableStack();
});
afterEach(() => stack.disposeAsync());

/** Longer than a busy machine keeps a server waiting that is well. */
const TIMEOUT_MS = 1_500;

async function openReady(url: string) {
  const redis = openGuardedRedis(url, { probeAfterMs: 300, commandTimeoutMs: TIMEOUT_MS });
  stack.defer(() => redis.close());
  expect(await waitForRedis(redis, 10_000)).toBe(true);
  return {
    redis,
    read: () => Promise.all(KEYS.map((key) => redis.run((connection) => connection.get(key)))),
    write: (value: string) =>
      Promise.all(KEYS.map((key) => redis.run((connection) => connection.set(key, value)))),
  };
}

async function client(url = ""): Promise<Redis> {
  const redis = stack.adopt(new Redis(url), async (connection) => connection.disconnect());
  await redis.ping();
  return redis;
}

const calls = async (redis: Redis, command: string) =>
  Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(await redis.info("commandstats"))?.[1] ?? 0);

describe("a Cluster", () => {
  test.each(KINDS)("is connected to as %s, through any of its servers", async (kind) => {
    const redis = connectRedis(`redis+cluster://127.0.0.1:${lone.primaries[0]?.port}`, kind);
    stack.defer(() => closeRedis(redis));
    expect(await waitForRedis(redis, 5_000)).toBe(true);
    expect(await Promise.all(KEYS.map((key) => redis.set(key, kind)))).toEqual(["OK", "OK", "OK"]);
    for (const { url } of lone.primaries) expect(await (await client(url)).dbsize()).toBe(1);
  });

  test("is guarded as a whole, and its health is that of all its servers", async () => {
    const { redis, read } = await openReady(lone.url);
    await read();
    const health = await checkRedis(redis);
    const one = await checkRedis(await client(lone.primaries[0]?.url));
    expect(health).toMatchObject({
      reachable: true,
      version: one.version,
      policy: "noeviction",
      breaker: { state: "closed" },
      lastError: null,
    });
    expect(health.usedMemory).toBeGreaterThan(2.5 * (one.usedMemory ?? 0));
  });

  test("runs scripts on keys that share a hash tag", async () => {
    const { redis } = await openReady(lone.url);
    const script = "redis.call('SET', KEYS[1], ARGV[1], 'PX', 1000) return redis.call('GET', KEYS[2])";
    for (const tag of KEYS) {
      const keys = [`one:{${tag}}`, `other:{${tag}}`];
      expect(await redis.run((connection) => connection.eval(script, 2, ...keys, "value"))).toBeNull();
    }
    expect(redis.breaker.snapshot().errors).toBe(0);
  });

  test("pushes what was changed to a tracking connection with each primary", async () => {
    const { redis } = await openReady(lone.url);
    const pushed: string[] = [];
    for (const primary of primariesOf(redis.connection)) {
      const tracking = connectTracking(primary);
      stack.defer(() => closeRedis(tracking));
      tracking.on("messageBuffer", (_channel: Buffer, keys: unknown) => pushed.push(String(keys)));
      expect(await waitForRedis(tracking, 5_000)).toBe(true);
      const id = await tracking.client("ID");
      await tracking.subscribe("__redis__:invalidate");
      await primary.call("CLIENT", "TRACKING", "ON", "REDIRECT", String(id), "BCAST", "PREFIX", "t:");
    }
    const keys = KEYS.map((key) => `t:{${key}}`);
    for (const key of keys) await redis.run((connection) => connection.set(key, "value", "PX", 60_000));
    await waitFor(() => pushed.length === 3);
    expect(pushed.toSorted()).toEqual(keys.toSorted());
  });

  test("with a wrong password says so without showing it", async () => {
    const errors: string[] = [];
    const url = lone.url.replace("redis+cluster://", "redis+cluster://nobody:secret@");
    const redis = openGuardedRedis(url, { onError: (error) => errors.push(error.message) });
    stack.defer(() => redis.close());
    await waitFor(() => errors.some((error) => error.includes("WRONGPASS")));
    const health = await checkRedis(redis);
    expect(health.reachable).toBe(false);
    expect(JSON.stringify([errors, health])).not.toContain("secret");
  });

  test("has replicas that answer reads when the address asks for it, and only then", async () => {
    const replicas = await Promise.all(paired.replicas.map(({ url }) => client(url)));
    const reads = async () => (await Promise.all(replicas.map((replica) => calls(replica, "get")))).join();
    const plain = await openReady(paired.url);
    await plain.write("value");
    await plain.read();
    expect(await reads()).toBe("0,0,0");
    const reading = await openReady(`${paired.url}?replicas=true`);
    await reading.write("other");
    await waitFor(async () => (await reading.read()).join() === "other,other,other");
    expect(await reads()).not.toContain("0");
  });
});

describe("a Cluster that is hurt", () => {
  test("is not asked while a primary is frozen, and is again when that one answers", async () => {
    const { redis, read } = await openReady(lone.url);
    await lone.primaries[1]?.pause();
    const before = performance.now();
    const outcomes = await Promise.allSettled(
      KEYS.map((key) => redis.run((connection) => connection.get(key))),
    );
    expect(performance.now() - before).toBeLessThan(TIMEOUT_MS + 5_000);
    const failures = outcomes.filter((outcome) => outcome.status === "rejected");
    expect(failures.map(({ reason }) => reason)).toEqual([expect.any(RedisTimeout)]);
    expect(redis.breaker.snapshot()).toMatchObject({ opens: 1, timeouts: 1 });
    await lone.primaries[1]?.resume();
    await waitFor(() => redis.breaker.state === "closed");
    await read();
  });

  test.each(["pause", "stop"] as const)(
    "is asked again after a replica took the place of a primary (%s)",
    async (hurt) => {
      const index = hurt === "pause" ? 1 : 2;
      const { read, write } = await openReady(paired.url);
      await write(hurt);
      const replica = await client(paired.replicas[index]?.url);
      await waitFor(async () => (await calls(replica, "set")) >= 1);
      await paired.primaries[index]?.[hurt]();
      await expect(read()).rejects.toThrow();
      await waitFor(async () => (await replica.role())[0] === "master", { timeoutMs: 20_000 });
      expect(await waitFor(read, { timeoutMs: 20_000 })).toEqual([hurt, hurt, hurt]);
      await write("after");
    },
    60_000,
  );

  test("lets go of who waits for work when all of it is gone, and comes back as a whole", async () => {
    const { redis, write } = await openReady(lone.url);
    const consumer = connectRedis(lone.url, "queue-consumer");
    stack.defer(() => closeRedis(consumer));
    for (const key of KEYS) await consumer.get(key);
    await Promise.all(lone.primaries.map((primary) => primary.stop()));
    await waitFor(() => redis.breaker.state === "open");
    await waitFor(() => consumer.status === "reconnecting");
    const waiting = consumer.get("key");
    await Promise.all([expect(waiting).rejects.toThrow(), closeRedis(consumer)]);
    await waitFor(() => consumer.status === "end");
    await Promise.all(lone.primaries.map((primary) => primary.start()));
    await waitFor(() => redis.breaker.state === "closed", { timeoutMs: 20_000 });
    await write("after");
  }, 60_000);
});
