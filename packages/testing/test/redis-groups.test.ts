import { expect, test } from "@jest/globals";
import { Cluster, Redis } from "ioredis";
import { startRedisCluster } from "../src/redis-cluster.ts";
import { startSentinel } from "../src/redis-sentinel.ts";
import { waitFor } from "../src/wait.ts";

test("a Cluster of three primaries holds keys, and a replica takes over from a primary that is killed", async () => {
  await using group = await startRedisCluster({ replicas: 1 });
  expect(group.primaries).toHaveLength(3);
  expect(group.replicas).toHaveLength(3);
  await using clients = new AsyncDisposableStack();
  const cluster = new Cluster(group.primaries.map(({ port }) => ({ host: "127.0.0.1", port })));
  clients.defer(() => cluster.disconnect());
  for (let i = 0; i < 20; i++) await cluster.set(`key-${i}`, `value-${i}`);
  for (const primary of group.primaries) {
    const alone = new Redis(primary.url);
    clients.defer(() => alone.disconnect());
    expect(await alone.dbsize()).toBeGreaterThan(0);
  }
  await group.primaries[0]?.stop();
  const first = new Redis(group.replicas[0]?.url ?? "");
  clients.defer(() => first.disconnect());
  await waitFor(async () => (await first.role())[0] === "master", { what: "the replica to take over" });
});

test("Sentinels name the primary, and another one after it was frozen", async () => {
  await using group = await startSentinel();
  expect(await group.primaryPort()).toBe(group.primary.port);
  await group.primary.pause();
  await waitFor(async () => (await group.primaryPort()) === group.replica.port, { what: "the fail-over" });
});
