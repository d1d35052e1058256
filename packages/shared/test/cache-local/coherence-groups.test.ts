import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { closeRedis, connectRedis, primariesOf, type RedisConnection } from "@mythic/shared/redis";
import { startRedisCluster, type TestRedisCluster } from "@mythic/testing/redis-cluster";
import { startSentinel } from "@mythic/testing/redis-sentinel";
import { waitFor } from "@mythic/testing/wait";
import { CoherenceLink } from "../../src/cache/local/coherence-link.ts";
import {
  connectStranger,
  HEARTBEAT_MS,
  killConnections,
  type Listening,
  listen,
  PREFIX,
} from "./listening.ts";

let stack: AsyncDisposableStack;

beforeEach(() => {
  stack = new AsyncDisposableStack();
});

afterEach(async () => {
  await stack.disposeAsync();
});

describe("a coherence feed of a Cluster", () => {
  /** Keys of many slots, so that each primary has some. */
  const KEYS = ["a", "b", "c", "d", "e", "f", "g", "h"].map((scope) => `${PREFIX}{${scope}}:v:f.1:key`);

  async function open(replicas: number) {
    const cluster: TestRedisCluster = stack.use(await startRedisCluster({ replicas }));
    const writer = connectRedis(cluster.url, "queue-consumer");
    stack.defer(() => closeRedis(writer));
    const feed: Listening = stack.use(listen(cluster.url));
    await feed.reaches("tracking");
    return { cluster, writer, feed };
  }

  /** Changes keys on all primaries again and again, until there was news of each. */
  async function hearsOfAll(feed: Listening, writer: RedisConnection): Promise<void> {
    feed.keys.length = 0;
    await waitFor(async () => {
      await Promise.all(KEYS.map((key) => writer.set(key, "value")));
      return KEYS.every((key) => feed.keys.includes(key));
    });
  }

  test("hears from every primary, is lost when it does not hear from one, and comes back", async () => {
    const { cluster, writer, feed } = await open(0);
    await hearsOfAll(feed, writer);
    for (const primary of cluster.primaries) {
      const stranger = stack.use(await connectStranger(primary.url));
      expect(Number(await stranger.dbsize())).toBeGreaterThan(0);
      const before = feed.flushes();
      expect(await killConnections(stranger, "mythic:tracking")).toBe(1);
      await feed.isFlushedAfter(before);
      await feed.reaches("tracking");
      expect(feed.states.slice(before)).toEqual(["lost", "tracking"]);
      await stranger.flushall();
      await feed.isFlushedAfter(before + 2);
    }
    await hearsOfAll(feed, writer);
  });

  test("hears from a replica that took the place of its primary by agreement", async () => {
    const { cluster, writer, feed } = await open(1);
    const stranger = stack.use(await connectStranger(cluster.replicas[0]?.url ?? ""));
    await stranger.call("CLUSTER", "FAILOVER");
    await waitFor(async () => String(await stranger.info("replication")).includes("role:master"));
    // Until its own connection is told so, it hears from the old primary what that hears from the new one.
    await hearsOfAll(feed, writer);
    const before = feed.flushes();
    await Promise.all(KEYS.map((key) => feed.redis.run((redis) => redis.get(key))));
    await feed.isFlushedAfter(before);
    await feed.reaches("tracking");
    expect(await killConnections(stranger, "mythic:tracking")).toBe(1);
    await feed.isFlushedAfter(before + 2);
    await feed.reaches("tracking");
    await hearsOfAll(feed, writer);
  });

  test("hears from a replica that took the place of a primary that died", async () => {
    const { cluster, writer, feed } = await open(1);
    const before = feed.flushes();
    await cluster.primaries[0]?.stop();
    await feed.isFlushedAfter(before);
    const stranger = stack.use(await connectStranger(cluster.replicas[0]?.url ?? ""));
    await waitFor(async () => String(await stranger.info("replication")).includes("role:master"));
    // The first command that misses the old primary leads to the new one.
    await waitFor(async () => {
      await Promise.allSettled(KEYS.map((key) => feed.redis.run((redis) => redis.get(key))));
      return String(await stranger.client("LIST")).includes("name=mythic:tracking");
    });
    await feed.reaches("tracking");
    await hearsOfAll(feed, writer);
  });
});

describe("a coherence feed behind Sentinels", () => {
  test("hears from the new primary after a fail-over", async () => {
    const sentinel = stack.use(await startSentinel());
    const feed = stack.use(listen(sentinel.url));
    await feed.reaches("tracking");
    await sentinel.primary.stop();
    await waitFor(() => feed.feed.state !== "tracking");
    await waitFor(() => feed.feed.state === "tracking", { timeoutMs: 20_000 });
    const stranger = stack.use(await connectStranger(sentinel.replica.url));
    await stranger.set(`${PREFIX}key`, "value");
    await feed.hears(`${PREFIX}key`);
  });

  test("hears although it was told to begin anew while it was still connecting", async () => {
    const sentinel = stack.use(await startSentinel());
    const redis = connectRedis(sentinel.url, "cache");
    stack.defer(() => closeRedis(redis));
    await waitFor(() => redis.status === "ready");
    const [primary] = primariesOf(redis);
    if (primary === undefined) throw new Error("There is no primary.");
    const options = { prefix: PREFIX, channel: "channel", heartbeatMs: HEARTBEAT_MS };
    const told: unknown[] = [];
    const link = new CoherenceLink(
      primary,
      { ...options, clock: () => performance.now(), onError: (error) => told.push(error) },
      { heard: (message) => told.push(message), updated: () => undefined },
    );
    stack.defer(() => link.close());
    link.renew();
    await waitFor(() => link.hears === "tracking");
    expect(told).toEqual([]);
  });
});
