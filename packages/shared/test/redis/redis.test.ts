import { once } from "node:events";
import { inspect } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import {
  checkRedis,
  closeRedis,
  connectRedis,
  type RedisConnectionKind,
  waitForRedis,
} from "@mythic/shared/redis";
import { startRedis, type TestRedis } from "@mythic/testing/redis";
import { waitFor } from "@mythic/testing/wait";

const FAST_KINDS: readonly RedisConnectionKind[] = ["cache", "queue-producer"];
const KINDS: readonly RedisConnectionKind[] = [...FAST_KINDS, "queue-consumer"];

let server: TestRedis;
let stack: AsyncDisposableStack;

beforeEach(async () => {
  server = await startRedis();
  stack = new AsyncDisposableStack();
});

afterEach(async () => {
  await stack.disposeAsync();
  await server[Symbol.asyncDispose]();
});

function connect(kind: RedisConnectionKind, url = server.url) {
  const errors: Error[] = [];
  const redis = connectRedis(url, kind, { onError: (error) => errors.push(error) });
  stack.defer(() => closeRedis(redis));
  return { redis, errors };
}

async function settles(
  work: () => Promise<unknown>,
): Promise<{ readonly ms: number; readonly failed: boolean }> {
  const before = performance.now();
  const failed = await work().then(
    () => false,
    () => true,
  );
  return { ms: performance.now() - before, failed };
}

describe("a connection to Redis", () => {
  test("of every kind is ready soon, has a name and sends commands", async () => {
    for (const kind of KINDS) {
      const { redis, errors } = connect(kind);
      expect(await waitForRedis(redis, 5_000)).toBe(true);
      expect(await redis.client("GETNAME")).toBe(`mythic:${kind}`);
      expect(errors).toEqual([]);
    }
  });

  test("of no kind renews its subscriptions by itself, as nobody could catch that this fails", async () => {
    const { redis: other } = connect("queue-consumer");
    for (const kind of [...KINDS, "tracking"] as const) {
      const { redis } = connect(kind);
      await waitForRedis(redis, 5_000);
      await redis.subscribe(kind);
      const isBack = once(redis, "ready");
      await other.call("CLIENT", "KILL", "TYPE", "pubsub");
      await isBack;
      // What would be sent by itself is sent before.
      await redis.ping();
      expect(await other.pubsub("NUMSUB", kind)).toEqual([kind, 0]);
    }
  });

  test("refuses a command within its time when Redis is frozen, unless it waits for work", async () => {
    const connections = KINDS.map((kind) => connect(kind).redis);
    for (const redis of connections) await waitForRedis(redis, 5_000);
    await server.pause();
    const [cache, producer, consumer] = connections;
    const patient = consumer?.get("key");
    expect(await settles(async () => await cache?.get("key"))).toMatchObject({ failed: true });
    const { ms, failed } = await settles(async () => await producer?.get("key"));
    expect(failed).toBe(true);
    expect(ms).toBeLessThan(5_000);
    await server.resume();
    await expect(patient).resolves.toBeNull();
  });

  test("of a fast kind refuses at once when Redis is gone, and works when it is back", async () => {
    for (const kind of FAST_KINDS) {
      const { redis, errors } = connect(kind);
      await waitForRedis(redis, 5_000);
      await server.stop();
      await waitFor(() => redis.status !== "ready");
      const { ms, failed } = await settles(() => redis.get("key"));
      expect(failed).toBe(true);
      expect(ms).toBeLessThan(5_000);
      await waitFor(() => errors.length > 0);
      await server.start();
      expect(await waitForRedis(redis, 5_000)).toBe(true);
      await redis.get("key");
    }
  });

  test("that waits for work answers after Redis was away", async () => {
    const { redis } = connect("queue-consumer");
    await waitForRedis(redis, 5_000);
    const popped = redis.blpop("list", 0);
    await server.stop();
    await waitFor(() => redis.status !== "ready");
    await server.start();
    const { redis: other } = connect("queue-producer");
    await waitForRedis(other, 5_000);
    await other.rpush("list", "work");
    await expect(popped).resolves.toEqual(["list", "work"]);
  });

  test("is not waited for longer than told", async () => {
    await server.stop();
    const { redis } = connect("cache");
    expect(await waitForRedis(redis, 50)).toBe(false);
    await closeRedis(redis);
  });

  test("reports a wrong password without showing it", async () => {
    const { redis: admin } = connect("cache");
    await waitForRedis(admin, 5_000);
    await admin.config("SET", "requirepass", "right");
    const { errors } = connect("cache", server.url.replace("redis://", "redis://:secret@"));
    await waitFor(() => errors.some((error) => error.message.includes("WRONGPASS")));
    expect(inspect(errors, { depth: 9 })).not.toContain("secret");
  });
});

describe("the health of Redis", () => {
  test("tells version, memory, policy and latency", async () => {
    const { redis } = connect("cache");
    await waitForRedis(redis, 5_000);
    const health = await checkRedis(redis);
    expect(health).toMatchObject({ reachable: true, maxMemory: null, policy: "noeviction", lastError: null });
    expect(health.version).toMatch(/^\d+\.\d+/);
    expect(health.usedMemory).toBeGreaterThan(100_000);
    expect(health.latencyMs).toBeGreaterThan(0);
    await redis.config("SET", "maxmemory", "50mb");
    expect((await checkRedis(redis)).maxMemory).toBe(50 * 1_024 ** 2);
  });

  test("is known soon when Redis is frozen, for every kind of connection", async () => {
    const connections = KINDS.map((kind) => connect(kind).redis);
    for (const redis of connections) await waitForRedis(redis, 5_000);
    await server.pause();
    const before = performance.now();
    const healths = await Promise.all(connections.map((redis) => checkRedis(redis)));
    expect(performance.now() - before).toBeLessThan(5_000);
    for (const health of healths) {
      expect(health).toMatchObject({ reachable: false, latencyMs: null, version: null });
      expect(health.lastError).not.toBeNull();
    }
    await server.resume();
  });

  test("says why there is no connection", async () => {
    await server.stop();
    const { redis, errors } = connect("queue-consumer");
    await waitFor(() => errors.length > 0);
    const health = await checkRedis(redis);
    expect(health.reachable).toBe(false);
    expect(health.lastError).toContain("ECONNREFUSED");
  });
});

describe("closing a connection to Redis", () => {
  test("lets commands on their way be answered", async () => {
    const { redis } = connect("cache");
    await waitForRedis(redis, 5_000);
    const answer = redis.set("key", "value");
    await closeRedis(redis);
    await expect(answer).resolves.toBe("OK");
    await waitFor(() => redis.status === "end");
    await closeRedis(redis);
  });

  test("rejects what still waits for a Redis that is gone", async () => {
    const { redis } = connect("queue-consumer");
    await waitForRedis(redis, 5_000);
    await server.stop();
    await waitFor(() => redis.status === "reconnecting");
    const waiting = redis.get("key");
    await Promise.all([expect(waiting).rejects.toThrow("closed"), closeRedis(redis)]);
    await waitFor(() => redis.status === "end");
  });

  test("stays closed when Redis comes back meanwhile", async () => {
    const { redis } = connect("queue-consumer");
    await waitForRedis(redis, 5_000);
    await server.stop();
    await waitFor(() => redis.status === "reconnecting");
    await server.start();
    await closeRedis(redis);
    await waitFor(() => redis.status === "end");
  });

  test("does not wait for a Redis that is frozen", async () => {
    const { redis } = connect("queue-consumer");
    await waitForRedis(redis, 5_000);
    await server.pause();
    const waiting = redis.get("key");
    const [{ ms }] = await Promise.all([
      settles(() => closeRedis(redis)),
      expect(waiting).rejects.toThrow("closed"),
    ]);
    expect(ms).toBeLessThan(5_000);
  });
});
