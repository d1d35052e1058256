import { afterAll, describe, expect, test } from "@jest/globals";
import { startRedisCluster } from "@mythic/testing/redis-cluster";
import { startSentinel } from "@mythic/testing/redis-sentinel";
import { waitFor } from "@mythic/testing/wait";
import { ENDED, startSystem } from "./system/system.ts";

const stack = new AsyncDisposableStack();
afterAll(() => stack.disposeAsync());

describe.each([
  { what: "a Cluster", start: startRedisCluster },
  { what: "a primary under Sentinels", start: startSentinel },
])("with $what for queue and cache", ({ start }) => {
  test("a book goes through, and both roles are well", async () => {
    const group: AsyncDisposable & { readonly url: string } = await start();
    stack.use(group);
    const system = stack.use(await startSystem({ mongodbUrl: null, redisUrl: group.url, workers: 1 }));
    await waitFor(async () => {
      const health = (await (await system.request("/health/redis")).json()) as { readonly status: string };
      return health.status === "ok";
    });
    const { id } = await system.submit();
    expect((await system.until(id, ENDED)).status).toBe("succeeded");
    const status = await system.request(`/status/${id}`);
    expect(status.headers.get("cache-status")).toMatch(/^mythic; hit/);
    const { queues } = (await (await system.request("/admin/queues/api/queues")).json()) as {
      readonly queues: readonly { readonly counts: { readonly completed: number } }[];
    };
    expect(queues[0]?.counts.completed).toBeGreaterThan(2);
  });
});
