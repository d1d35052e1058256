import { afterAll, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { startRedisCluster, type TestRedisCluster } from "@mythic/testing/redis-cluster";
import { waitFor } from "@mythic/testing/wait";
import { Redis } from "ioredis";
import { openBullMqWakeUps } from "../../src/wake-ups/open-wake-ups.ts";
import { describeWakeUps, wakeUp } from "./wake-ups.suite.ts";

let cluster: TestRedisCluster;
beforeAll(async () => {
  cluster = await startRedisCluster({ nodeTimeoutMs: 60_000 });
});
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});
beforeEach(() => Promise.all(cluster.primaries.map((primary) => primary.wipe())));

const open = () => openBullMqWakeUps({ redisUrl: cluster.url });

describeWakeUps("the wake-ups of BullMQ on a Redis Cluster", open);

describe("the wake-ups of BullMQ on a Redis Cluster, in particular", () => {
  /** Of all keys that there are. */
  async function slots(): Promise<ReadonlySet<number>> {
    const found = new Set<number>();
    for (const { url } of cluster.primaries) {
      const redis = new Redis(url);
      for (const key of await redis.keys("*")) found.add(Number(await redis.cluster("KEYSLOT", key)));
      redis.disconnect();
    }
    return found;
  }

  test("the queue and the key that tells that it was wiped are in one slot, and so on one server", async () => {
    await using wakeUps = await open();
    await wakeUps.wake([wakeUp("a"), wakeUp("b")]);
    expect([await wakeUps.wasWiped(), await wakeUps.wasWiped()]).toEqual([true, false]);
    expect((await slots()).size).toBe(1);
    await Promise.all(cluster.primaries.map((primary) => primary.wipe()));
    expect([await wakeUps.wasWiped(), await wakeUps.wasWiped()]).toEqual([true, false]);
  });

  test("wake-ups flow again after all of it was gone", async () => {
    await using wakeUps = await open();
    const delivered: string[] = [];
    wakeUps.listen(async (stepId) => {
      delivered.push(stepId);
      return { state: "done" };
    }, 2);
    await wakeUps.wake([wakeUp("before")]);
    await waitFor(() => delivered.includes("before"));
    await Promise.all(cluster.primaries.map((primary) => primary.stop()));
    await waitFor(() => wakeUps.capacity() === 0);
    await expect(wakeUps.wake([wakeUp("meanwhile")])).rejects.toThrow();
    await Promise.all(cluster.primaries.map((primary) => primary.start()));
    await waitFor(() => wakeUps.capacity() > 0, { timeoutMs: 20_000 });
    let dispatch = 0;
    // As a dispatcher does: again, with a new number, until someone comes.
    await waitFor(
      async () => {
        dispatch += 1;
        await wakeUps.wake([wakeUp("after", { dispatch })]);
        return delivered.includes("after");
      },
      { timeoutMs: 20_000, everyMs: 200 },
    );
  }, 60_000);
});
