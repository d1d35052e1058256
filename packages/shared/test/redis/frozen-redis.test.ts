import { describe, expect, test } from "@jest/globals";
import {
  type BreakerState,
  type GuardedRedis,
  openGuardedRedis,
  type RedisConnection,
  RedisTimeout,
  RedisUnavailable,
  waitForRedis,
} from "@mythic/shared/redis";
import { startRedis } from "@mythic/testing/redis";
import { waitFor } from "@mythic/testing/wait";

const TIMEOUT_MS = 200;
/** What a timer and everything before it in the event loop may be late by, on a busy machine. */
const LATENESS_MS = 5_000;

/** A server of the test's own, as the tests run side by side: what they do is wait. */
async function openReady(stack: AsyncDisposableStack) {
  const server = stack.use(await startRedis());
  const redis = openGuardedRedis(server.url, { probeAfterMs: 300 });
  stack.defer(() => redis.close());
  expect(await waitForRedis(redis, 10_000)).toBe(true);
  const states: BreakerState[] = [];
  redis.breaker.onChange((state) => states.push(state));
  return { server, redis, probes: () => states.filter((state) => state === "half-open").length };
}

const get = (connection: RedisConnection) => connection.get("key");
const isClosed = ({ breaker }: GuardedRedis) => breaker.state === "closed";

async function timed(work: () => Promise<unknown>) {
  const before = performance.now();
  const error = await work().then(
    () => null,
    (reason: unknown) => reason,
  );
  return { ms: performance.now() - before, error };
}

/** What it is refused with, if that is before anything else can happen. */
function atOnce(work: Promise<unknown>): Promise<unknown> {
  const error = work.then(
    () => null,
    (reason: unknown) => reason,
  );
  return Promise.race([error, new Promise((resolve) => setImmediate(resolve, "late"))]);
}

describe("guarded Redis that is frozen", () => {
  test.concurrent("costs the first caller the time-out, later ones nothing, and comes back by itself", async () => {
    await using stack = new AsyncDisposableStack();
    const { server, redis, probes } = await openReady(stack);
    await server.pause();
    const first = await timed(() => redis.run(get));
    // Before a probe can time out, too.
    const known = redis.breaker.snapshot();
    expect(first.error).toBeInstanceOf(RedisTimeout);
    expect(first.ms).toBeGreaterThan(TIMEOUT_MS * 0.8);
    expect(first.ms).toBeLessThan(TIMEOUT_MS + LATENESS_MS);
    expect(await atOnce(redis.run(get))).toBeInstanceOf(RedisUnavailable);
    expect(known).toMatchObject({ opens: 1, timeouts: 1 });
    await waitFor(() => probes() >= 2);
    await server.resume();
    await waitFor(() => isClosed(redis));
    expect(await redis.run(get)).toBeNull();
  });

  test.concurrent("costs nobody a probe", async () => {
    await using stack = new AsyncDisposableStack();
    const { server, redis, probes } = await openReady(stack);
    await server.pause();
    await timed(() => redis.run(get));
    const refusals: unknown[] = [];
    await waitFor(
      async () => {
        refusals.push(await atOnce(redis.run(get)));
        return probes() >= 3;
      },
      { everyMs: 5 },
    );
    expect(refusals.length).toBeGreaterThan(3);
    for (const refusal of refusals) expect(refusal).toBeInstanceOf(RedisUnavailable);
  });

  test.concurrent("turns all away who asked before it was known", async () => {
    await using stack = new AsyncDisposableStack();
    const { server, redis } = await openReady(stack);
    await server.pause();
    const all = await Promise.all(Array.from({ length: 50 }, () => timed(() => redis.run(get))));
    for (const { ms, error } of all) {
      expect(error).toBeInstanceOf(RedisTimeout);
      expect(ms).toBeLessThan(TIMEOUT_MS + LATENESS_MS);
    }
    expect(redis.breaker.snapshot().opens).toBe(1);
  });

  test.concurrent("comes back by itself after longer than a socket waits", async () => {
    await using stack = new AsyncDisposableStack();
    const { server, redis } = await openReady(stack);
    await server.pause();
    await timed(() => redis.run(get));
    await waitFor(() => redis.connection.status !== "ready");
    expect(await atOnce(redis.run(get))).toBeInstanceOf(RedisUnavailable);
    await server.resume();
    await waitFor(() => isClosed(redis), { timeoutMs: 20_000 });
    expect(await redis.run(get)).toBeNull();
  });
});
