import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import {
  checkRedis,
  closeRedis,
  connectRedis,
  connectTracking,
  type GuardedRedis,
  openGuardedRedis,
  primariesOf,
  type RedisConnection,
  type RedisConnectionKind,
  waitForRedis,
} from "@mythic/shared/redis";
import { startRedis, type TestRedis } from "@mythic/testing/redis";
import { startSentinel, type TestSentinel } from "@mythic/testing/redis-sentinel";
import { waitFor } from "@mythic/testing/wait";
import { Redis } from "ioredis";

const KINDS: readonly RedisConnectionKind[] = ["cache", "queue-producer", "queue-consumer", "tracking"];

let group: TestSentinel;
let stack: AsyncDisposableStack;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  group = stack.use(await startSentinel());
});
afterEach(() => stack.disposeAsync());

async function openReady(url: string): Promise<GuardedRedis> {
  const redis = openGuardedRedis(url, { probeAfterMs: 300, commandTimeoutMs: 1_500 });
  stack.defer(() => redis.close());
  expect(await waitForRedis(redis, 5_000)).toBe(true);
  return redis;
}

const get = (connection: RedisConnection) => connection.get("key");
const set = (value: string) => (connection: RedisConnection) => connection.set("key", value);

async function callsOf(url: string, command: string): Promise<number> {
  const redis = new Redis(url);
  const stats = await redis.info("commandstats");
  redis.disconnect();
  return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
}

/** Speaks as much of the protocol as it takes to name a primary, and to say that there is another one now. */
async function startLoneSentinel(primaryPort: number) {
  const clients = new Set<Socket>();
  let listeners = 0;
  const server = createServer((socket) => {
    clients.add(socket);
    socket.on("error", () => undefined);
    socket.on("data", (data) => {
      for (const command of String(data).split(/(?=^\*\d+\r$)/m)) socket.write(answerTo(command));
    });
  });
  const answerTo = (command: string) => {
    if (/hello/i.test(command)) return "%1\r\n+proto\r\n:3\r\n";
    if (/get-master-addr/i.test(command)) return `*2\r\n+127.0.0.1\r\n+${primaryPort}\r\n`;
    if (/subscribe/i.test(command)) {
      listeners += 1;
      return ">3\r\n+subscribe\r\n++switch-master\r\n:1\r\n";
    }
    return /sentinels/i.test(command) ? "*0\r\n" : "-ERR unknown command\r\n";
  };
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The system gave no port.");
  stack.defer(() => {
    for (const client of clients) client.destroy();
    server.close();
  });
  return {
    port: address.port,
    url: `redis+sentinel://127.0.0.1:${address.port}/mythic`,
    /** `message`: the name of the primary, and the old and the new one, as `127.0.0.1 6379`. */
    sayThatItSwitched(message: string) {
      for (const client of clients) client.write(`>3\r\n+message\r\n++switch-master\r\n+${message}\r\n`);
    },
    listeners: () => listeners,
    hangUp() {
      listeners = 0;
      for (const client of clients) client.destroy();
    },
  };
}

describe("a primary under Sentinels", () => {
  test("is connected to in every way, and its health is known", async () => {
    for (const kind of KINDS) {
      const redis = connectRedis(group.url, kind);
      stack.defer(() => closeRedis(redis));
      expect(await waitForRedis(redis, 5_000)).toBe(true);
      expect(await redis.set("key", kind)).toBe("OK");
    }
    expect(await checkRedis(await openReady(group.url))).toMatchObject({
      reachable: true,
      policy: "noeviction",
      breaker: { state: "closed" },
      lastError: null,
    });
  });

  test("pushes what was changed to a tracking connection", async () => {
    const { connection } = await openReady(group.url);
    const [primary] = primariesOf(connection);
    if (primary === undefined) throw new Error("There is no primary.");
    const tracking = connectTracking(primary);
    stack.defer(() => closeRedis(tracking));
    const pushed: string[] = [];
    tracking.on("messageBuffer", (_channel: Buffer, keys: unknown) => pushed.push(String(keys)));
    await waitForRedis(tracking, 5_000);
    const id = await tracking.client("ID");
    await tracking.subscribe("__redis__:invalidate");
    await primary.call("CLIENT", "TRACKING", "ON", "REDIRECT", String(id), "BCAST", "PREFIX", "k");
    await primary.set("key", "value");
    await waitFor(() => pushed.join() === "key");
  });

  test("that freezes is left for the one that takes its place, by callers and by who waits for work", async () => {
    const redis = await openReady(group.url);
    await redis.run(set("before"));
    const consumer = connectRedis(group.url, "queue-consumer");
    stack.defer(() => closeRedis(consumer));
    await waitForRedis(consumer, 5_000);
    const work = consumer.blpop("list", 0);
    await waitFor(async () => (await callsOf(group.replica.url, "set")) === 1);
    await group.primary.pause();
    await expect(redis.run(get)).rejects.toThrow("did not answer");
    await waitFor(() => redis.breaker.state === "closed", { timeoutMs: 20_000 });
    expect(await group.primaryPort()).toBe(group.replica.port);
    expect(await redis.run(get)).toBe("before");
    await redis.run(set("after"));
    await redis.run((connection) => connection.rpush("list", "work"));
    await expect(work).resolves.toEqual(["list", "work"]);
  });

  test("that is gone is left for the one that takes its place", async () => {
    const redis = await openReady(group.url);
    await redis.run(set("before"));
    await waitFor(async () => (await callsOf(group.replica.url, "set")) === 1);
    await group.primary.stop();
    await waitFor(() => redis.breaker.state === "open");
    await waitFor(async () => Boolean(await redis.run(set("after"))), { timeoutMs: 20_000 });
    expect(redis.breaker.state).toBe("closed");
  });

  test("that is gone is found again also when a fail-over is heard of in the middle of looking for it", async () => {
    const server = stack.use(await startRedis());
    const sentinel = await startLoneSentinel(server.port);
    const errors: string[] = [];
    const consumer = connectRedis(sentinel.url, "queue-consumer", {
      onError: ({ message }) => errors.push(message),
    });
    stack.defer(() => closeRedis(consumer));
    expect(await waitForRedis(consumer, 5_000)).toBe(true);
    await server.stop();
    // It asked all Sentinels and pauses before it begins anew.
    consumer.on("error", ({ message }) => {
      if (message.startsWith("All sentinels"))
        sentinel.sayThatItSwitched(`mythic 127.0.0.1 1 127.0.0.1 ${server.port}`);
    });
    await waitFor(() => errors.some((error) => error.includes("No Sentinel")));
    const answer = consumer.ping();
    await server.start();
    expect(await answer).toBe("PONG");
  });

  test("is left when a Sentinel, back from an absence, names another, and neither for others' fail-overs nor when it is named itself", async () => {
    const [old, successor] = [stack.use(await startRedis()), stack.use(await startRedis())];
    const sentinel = await startLoneSentinel(successor.port);
    const redis = await openReady(sentinel.url);
    let losses = 0;
    redis.connection.on("close", () => {
      losses += 1;
    });
    await waitFor(() => sentinel.listeners() === 1);
    const witness = stack.adopt(new Redis(sentinel.port, { enableReadyCheck: false }), async (client) =>
      client.disconnect(),
    );
    let heard = 0;
    witness.on("message", () => {
      heard += 1;
    });
    await witness.subscribe("+switch-master");
    const address = (server: TestRedis) => `127.0.0.1 ${server.port}`;
    sentinel.sayThatItSwitched("others 127.0.0.1 1 127.0.0.1 2");
    // As a Sentinel does that hears of it late.
    sentinel.sayThatItSwitched(`mythic ${address(old)} ${address(successor)}`);
    await waitFor(() => heard === 2);
    await redis.run(get);
    expect(losses).toBe(0);
    sentinel.hangUp();
    await waitFor(() => sentinel.listeners() === 2);
    sentinel.sayThatItSwitched(`mythic ${address(successor)} ${address(old)}`);
    await waitFor(() => losses === 1);
    await waitFor(() => redis.breaker.state === "closed");
  });

  test("has a replica that answers reads when the address asks for it, and the primary does when it is gone", async () => {
    const reads = async () => [
      await callsOf(group.primary.url, "get"),
      await callsOf(group.replica.url, "get"),
    ];
    const plain = await openReady(group.url);
    await plain.run(get);
    expect(await reads()).toEqual([1, 0]);
    const redis = await openReady(`${group.url}?replicas=true`);
    await redis.run(set("value"));
    await waitFor(async () => (await redis.run(get)) === "value" && (await reads())[1] !== 0);
    expect(await callsOf(group.primary.url, "get")).toBe(1);
    await group.replica.stop();
    await waitFor(async () => (await redis.run(get)) === "value");
    expect(await callsOf(group.primary.url, "get")).toBeGreaterThan(1);
    await redis.close();
    await waitFor(() => redis.connection.status === "end");
  });

  test("that no Sentinel can be asked for is not there, and the password is not shown", async () => {
    const errors: string[] = [];
    const url = "redis+sentinel://user:secret@127.0.0.1:1/mythic";
    const redis = openGuardedRedis(url, { onError: (error) => errors.push(error.message) });
    stack.defer(() => redis.close());
    await waitFor(() => errors.length > 0);
    const health = await checkRedis(redis);
    expect(health).toMatchObject({ reachable: false, lastError: expect.stringContaining("No Sentinel") });
    expect(JSON.stringify([errors, health])).not.toContain("secret");
  });
});
