import { inspect } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import {
  type BreakerState,
  checkRedis,
  type GuardedRedis,
  type GuardOptions,
  openGuardedRedis,
  type RedisConnection,
  RedisError,
  RedisUnavailable,
  waitForRedis,
} from "@mythic/shared/redis";
import { type RedisOptions, startRedis, type TestRedis } from "@mythic/testing/redis";
import { waitFor } from "@mythic/testing/wait";
import type { Redis } from "ioredis";

/** Patient: a Redis that is only slow, as the machine is busy, is not what most of this is about. */
const TIMEOUT_MS = 20_000;
/** Far less than the time-out, and what anything that does not wait takes, on a busy machine. */
const AT_ONCE_MS = 5_000;
const PROBE_AFTER_MS = 300;

let stack: AsyncDisposableStack;
beforeEach(() => {
  stack = new AsyncDisposableStack();
});
afterEach(() => stack.disposeAsync());

const start = async (options?: RedisOptions): Promise<TestRedis> => stack.use(await startRedis(options));

async function open(url: string, options: GuardOptions = {}) {
  const redis = openGuardedRedis(url, {
    ...{ probeAfterMs: PROBE_AFTER_MS, commandTimeoutMs: TIMEOUT_MS },
    ...options,
  });
  stack.defer(() => redis.close());
  const states: BreakerState[] = [];
  redis.breaker.onChange((state) => states.push(state));
  return { redis, states };
}

async function openReady(url: string, options: GuardOptions = {}) {
  const opened = await open(url, options);
  expect(await waitForRedis(opened.redis, 10_000)).toBe(true);
  opened.states.length = 0;
  return opened;
}

const LARGE = "x".repeat(100_000);
const get = (connection: RedisConnection) => connection.get("key");
const set = (connection: RedisConnection) => connection.set("key", LARGE);

async function timed(work: () => Promise<unknown>) {
  const before = performance.now();
  const error = await work().then(
    () => null,
    (reason: unknown) => reason,
  );
  return { ms: performance.now() - before, error };
}

const isClosed = ({ breaker }: GuardedRedis) => breaker.state === "closed";

function blockFor(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

describe("guarded Redis", () => {
  test("runs commands and gives their replies", async () => {
    const { redis } = await openReady((await start()).url);
    expect(await redis.run((connection) => connection.set("key", "value"))).toBe("OK");
    expect(await redis.run(get)).toBe("value");
    expect(redis.breaker.snapshot()).toMatchObject({ state: "closed", opens: 0, lastError: null });
  });

  test("sends the commands of one turn together, and does not wait with them for the next", async () => {
    const { redis } = await openReady((await start()).url);
    const { stream } = redis.connection as Redis;
    const { bytesWritten } = stream;
    const replies = Promise.all([redis.run(set), redis.run(get), redis.run(get)]);
    expect(stream.writableCorked).toBe(1);
    await new Promise(setImmediate);
    expect(stream).toMatchObject({ writableCorked: 0, writableLength: 0 });
    expect(stream.bytesWritten).toBeGreaterThan(bytesWritten + LARGE.length);
    expect(await replies).toEqual(["OK", LARGE, LARGE]);
  });

  test("is not asked before it has answered, and then closes by itself", async () => {
    const server = await start();
    await server.stop();
    const { redis, states } = await open(server.url);
    expect(redis.breaker.state).toBe("open");
    await expect(redis.run(get)).rejects.toBeInstanceOf(RedisUnavailable);
    expect(await waitForRedis(redis, 50)).toBe(false);
    await server.start();
    expect(await waitForRedis(redis, 10_000)).toBe(true);
    expect(states).toEqual(["half-open", "closed"]);
    expect(await redis.run(get)).toBeNull();
  });

  test("that is stopped refuses at once, what was on its way included, and comes back by itself", async () => {
    const server = await start();
    const { redis, states } = await openReady(server.url);
    const waiting = timed(() => redis.run((connection) => connection.blpop("list", 60)));
    await server.stop();
    const { ms, error } = await waiting;
    expect(error).toBeInstanceOf(RedisError);
    expect(ms).toBeLessThan(AT_ONCE_MS);
    await waitFor(() => redis.breaker.state === "open");
    const later = await timed(() => redis.run(get));
    expect(later.error).toBeInstanceOf(RedisUnavailable);
    expect(later.ms).toBeLessThan(AT_ONCE_MS);
    await waitFor(() => redis.breaker.snapshot().lastError?.includes("ECONNREFUSED"));
    await server.start();
    await waitFor(() => isClosed(redis));
    expect(await redis.run(get)).toBeNull();
    expect(states).toEqual(["open", "half-open", "closed"]);
  });

  test("that restarts is asked again as soon as it answers", async () => {
    const server = await start();
    const { redis } = await openReady(server.url, { probeAfterMs: 60_000 });
    for (let i = 0; i < 2; i++) {
      await server.stop();
      await server.start();
      await waitFor(() => redis.breaker.snapshot().opens === i + 1 && isClosed(redis));
      expect(await redis.run(set)).toBe("OK");
    }
  });

  test("with a wrong password is never asked, and says so without showing it", async () => {
    const server = await start();
    const { redis: admin } = await openReady(server.url);
    await admin.run((connection) => connection.config("SET", "requirepass", "right"));
    const errors: RedisError[] = [];
    const url = server.url.replace("redis://", "redis://:secret@");
    const { redis } = await open(url, { onError: (error) => errors.push(error) });
    await waitFor(() => errors.length > 0);
    const { error } = await timed(() => redis.run(get));
    expect(error).toBeInstanceOf(RedisUnavailable);
    expect(String(error)).toContain("WRONGPASS");
    const health = await checkRedis(redis);
    expect(health).toMatchObject({ reachable: false, breaker: { state: "open" } });
    expect(inspect([errors, error, health], { depth: 9 })).not.toContain("secret");
  });

  test("that is full goes on being read, and is known to refuse", async () => {
    const { redis } = await openReady((await start({ args: ["--maxmemory", "1mb"] })).url);
    for (let i = 0; i < 5; i++) {
      await expect(redis.run(set)).rejects.toThrow("OOM");
      expect(await redis.run(get)).toBeNull();
    }
    expect(redis.breaker.snapshot()).toMatchObject({
      state: "closed",
      opens: 0,
      errors: 0,
      refusal: expect.stringContaining("OOM"),
    });
    expect(await checkRedis(redis)).toMatchObject({
      reachable: true,
      maxMemory: 1_024 ** 2,
      policy: "noeviction",
      lastError: expect.stringContaining("OOM"),
    });
  });

  test("that is full is known to refuse also when a pipeline swallows it", async () => {
    const { redis } = await openReady((await start({ args: ["--maxmemory", "1mb"] })).url);
    await redis.run((connection) => connection.pipeline().get("key").set("key", LARGE).exec());
    expect(redis.breaker.snapshot()).toMatchObject({
      state: "closed",
      refusal: expect.stringContaining("OOM"),
    });
  });

  test("that is a read-only replica goes on being read on one connection, and is known to refuse", async () => {
    const primary = await start();
    const replica = await start({ args: ["--replicaof", `127.0.0.1 ${primary.port}`] });
    const { redis } = await openReady(replica.url);
    await expect(redis.run(set)).rejects.toThrow("READONLY");
    // It might be a primary no more: the connection is made anew, once.
    await waitFor(() => redis.breaker.snapshot().opens === 1 && isClosed(redis));
    for (let i = 0; i < 5; i++) {
      await expect(redis.run(set)).rejects.toThrow("READONLY");
      expect(await redis.run(get)).toBeNull();
    }
    expect(redis.breaker.snapshot()).toMatchObject({
      state: "closed",
      opens: 1,
      refusal: expect.stringContaining("READONLY"),
    });
  });

  test("that forbids a command goes on being asked for others", async () => {
    const server = await start();
    const { redis: admin } = await openReady(server.url);
    await admin.run((connection) =>
      connection.call("ACL", "SETUSER", "reader", "on", ">secret", "~*", "+@read", "+@connection", "+info"),
    );
    const { redis } = await openReady(server.url.replace("redis://", "redis://reader:secret@"));
    for (let i = 0; i < 4; i++) await expect(redis.run(set)).rejects.toThrow("NOPERM");
    expect(await redis.run(get)).toBeNull();
    expect(redis.breaker.snapshot()).toMatchObject({ opens: 0, refusal: expect.stringContaining("NOPERM") });
  });

  test("is not to blame when our own event loop was late, and the answer is not lost", async () => {
    const { redis, states } = await openReady((await start()).url, { commandTimeoutMs: 600 });
    const reply = redis.run(get);
    blockFor(900);
    await expect(reply).resolves.toBeNull();
    // Of two round trips the second begins when the time is over.
    const two = timed(() =>
      redis.run(async (connection) => {
        await connection.get("key");
        return await connection.get("key");
      }),
    );
    blockFor(900);
    await two;
    expect(states).toEqual([]);
    expect(redis.breaker.snapshot()).toMatchObject({ state: "closed", timeouts: 0, lastError: null });
  });

  test("does not pay for what is wrong with the commands", async () => {
    const { redis } = await openReady((await start()).url);
    await redis.run((connection) => connection.set("key", "value"));
    for (let i = 0; i < 4; i++) {
      await expect(redis.run((connection) => connection.llen("key"))).rejects.toThrow("WRONGTYPE");
      await expect(redis.run(() => Promise.reject(new TypeError("ours")))).rejects.toThrow(TypeError);
      await expect(
        redis.run(() => {
          throw new TypeError("ours");
        }),
      ).rejects.toThrow(TypeError);
    }
    expect(redis.breaker.snapshot()).toMatchObject({ state: "closed", errors: 0, lastError: null });
  });

  test("hides what was sent from its errors", async () => {
    const { redis } = await openReady((await start()).url);
    await redis.run((connection) => connection.set("key", "value"));
    const { error } = await timed(() => redis.run((connection) => connection.rpush("key", "secret")));
    expect(error).toBeInstanceOf(RedisError);
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain("secret");
  });

  test("opens after three errors in a row that say that it cannot serve", async () => {
    const server = await start();
    const { redis } = await openReady(server.url);
    const { redis: other } = await openReady(server.url);
    await other.run((connection) => connection.config("SET", "busy-reply-threshold", "10"));
    const script =
      "local function now() local t = redis.call('TIME') return t[1] * 1e6 + t[2] end " +
      "local stop = now() + 2e7 while now() < stop do end";
    const busy = timed(() => redis.run((connection) => connection.eval(script, 0)));
    await waitFor(async () => {
      await timed(() => other.run(get));
      return other.breaker.state === "open";
    });
    expect(other.breaker.snapshot()).toMatchObject({
      opens: 1,
      errors: 3,
      timeouts: 0,
      lastError: expect.stringContaining("BUSY"),
    });
    await other.connection.call("SCRIPT", "KILL");
    await busy;
    await waitFor(() => isClosed(other));
  });

  test("is closed for good and quiet after it was closed, frozen or not", async () => {
    const server = await start();
    const { redis } = await openReady(server.url);
    await redis.close();
    await expect(redis.run(get)).rejects.toBeInstanceOf(RedisUnavailable);
    const { redis: frozen } = await openReady(server.url);
    await server.pause();
    expect((await timed(() => frozen.close())).ms).toBeLessThan(AT_ONCE_MS);
    await expect(frozen.run(get)).rejects.toBeInstanceOf(RedisError);
  });
});
