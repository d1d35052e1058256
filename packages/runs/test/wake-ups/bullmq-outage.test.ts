import { describe, expect, test } from "@jest/globals";
import { startRedis, type TestRedis } from "@mythic/testing/redis";
import { waitFor } from "@mythic/testing/wait";
import { type BullMqWakeUps, openBullMqWakeUps } from "../../src/wake-ups/open-wake-ups.ts";
import { timed } from "./timed.ts";
import { wakeUp } from "./wake-ups.suite.ts";

/** A queue on a Redis of its own, as each test hurts its server; so they can run side by side. */
async function openOn(server: TestRedis) {
  const errors: unknown[] = [];
  const wakeUps = await openBullMqWakeUps({ redisUrl: server.url, onError: (error) => errors.push(error) });
  return { wakeUps, errors };
}

function listen(wakeUps: BullMqWakeUps): string[] {
  const delivered: string[] = [];
  wakeUps.listen(async (stepId) => {
    delivered.push(stepId);
    return { state: "done" };
  }, 3);
  return delivered;
}

/** Sends as a dispatcher does: until it is taken, then again with a new number if nobody came. */
async function wakeUntilDelivered(wakeUps: BullMqWakeUps, stepId: string, delivered: readonly string[]) {
  let dispatch = 0;
  await waitFor(
    async () => {
      if (wakeUps.capacity() === 0) return false;
      dispatch += 1;
      return await wakeUps.wake([wakeUp(stepId, { dispatch })]).then(
        () => true,
        () => false,
      );
    },
    { timeoutMs: 15_000 },
  );
  const before = performance.now();
  await waitFor(() => delivered.includes(stepId), { timeoutMs: 15_000 });
  return performance.now() - before;
}

/** About a second, or a few seconds, and what a busy machine adds to that. Whoever waited for Redis would do so until it is back. */
const SOON_MS = 6_000;
const SECONDS_MS = 10_000;
/** An outage as long as this had workers of older versions of BullMQ wait for ever. */
const OUTAGE_MS = 16_000;
const outage = () => new Promise((resolve) => setTimeout(resolve, OUTAGE_MS));

describe("while the queue's Redis is out", () => {
  test.concurrent("a wake-up is refused soon when it is gone, and none is wanted", async () => {
    await using server = await startRedis();
    const { wakeUps, errors } = await openOn(server);
    await using _ = wakeUps;
    await server.stop();
    const { ms, error } = await timed(() => wakeUps.wake([wakeUp("step")]));
    expect(error).toBeInstanceOf(Error);
    expect(ms).toBeLessThan(SOON_MS);
    expect(wakeUps.capacity()).toBe(0);
    expect(await wakeUps.wasWiped()).toBe(false);
    await waitFor(() => errors.length > 0);
  });

  test.concurrent("a wake-up is refused soon when it is frozen, and wanted again once it answers", async () => {
    await using server = await startRedis();
    const { wakeUps } = await openOn(server);
    await using _ = wakeUps;
    await wakeUps.wake([wakeUp("before")]);
    let told = 0;
    wakeUps.onCapacity(() => {
      told += 1;
    });
    await server.pause();
    const { ms, error } = await timed(() => wakeUps.wake([wakeUp("step"), wakeUp("other")]));
    expect(error).toBeInstanceOf(Error);
    expect(ms).toBeLessThan(SOON_MS);
    expect(wakeUps.capacity()).toBe(0);
    const wiped = await timed(async () => expect(await wakeUps.wasWiped()).toBe(false));
    expect(wiped).toMatchObject({ error: null });
    expect(wiped.ms).toBeLessThan(SOON_MS);
    await server.resume();
    await waitFor(() => wakeUps.capacity() === 500);
    await waitFor(() => told > 0);
    await wakeUps.wake([wakeUp("after")]);
  });

  test.concurrent("it opens soon, closes at once, and delivers when Redis comes", async () => {
    await using server = await startRedis();
    await server.stop();
    const opening = performance.now();
    const { wakeUps } = await openOn(server);
    await using _ = wakeUps;
    expect(performance.now() - opening).toBeLessThan(SOON_MS);
    expect(wakeUps.capacity()).toBe(0);
    await wakeUps.listen(async () => ({ state: "done" }), 1).close();
    const delivered = listen(wakeUps);
    await server.start();
    await wakeUntilDelivered(wakeUps, "step", delivered);
  });

  test.concurrent("closing waits for handlers and not for Redis when it is gone", async () => {
    await using server = await startRedis();
    const { wakeUps, errors } = await openOn(server);
    const { promise: opened, resolve: letGo } = Promise.withResolvers<{ readonly state: "done" }>();
    let started = false;
    wakeUps.listen(() => {
      started = true;
      return opened;
    }, 1);
    await wakeUps.wake([wakeUp("step")]);
    await waitFor(() => started);
    await server.stop();
    let closed = false;
    const closing = wakeUps[Symbol.asyncDispose]().then(() => {
      closed = true;
    });
    await waitFor(() => errors.some((error) => String(error).includes("ECONNREFUSED")));
    expect(closed).toBe(false);
    letGo({ state: "done" });
    const { ms } = await timed(async () => await closing);
    expect(ms).toBeLessThan(SECONDS_MS);
  });

  test.concurrent("closing does not wait for Redis when it is frozen", async () => {
    await using server = await startRedis();
    const { wakeUps } = await openOn(server);
    const delivered = listen(wakeUps);
    await wakeUps.wake([wakeUp("step")]);
    await waitFor(() => delivered.length === 1);
    await server.pause();
    const { ms } = await timed(async () => await wakeUps[Symbol.asyncDispose]());
    expect(ms).toBeLessThan(SECONDS_MS);
  });
});

describe("after the queue's Redis was out", () => {
  test.concurrent("an idle listener takes jobs again within seconds of its return", async () => {
    await using server = await startRedis();
    const { wakeUps } = await openOn(server);
    await using _ = wakeUps;
    const delivered = listen(wakeUps);
    await wakeUntilDelivered(wakeUps, "before", delivered);
    await server.stop();
    await outage();
    await server.start();
    expect(await wakeUntilDelivered(wakeUps, "after", delivered)).toBeLessThan(SECONDS_MS);
  }, 60_000);

  test.concurrent("a listener that was at work takes jobs again within seconds of its return", async () => {
    await using server = await startRedis();
    const { wakeUps } = await openOn(server);
    await using _ = wakeUps;
    const { promise: opened, resolve: letGo } = Promise.withResolvers<void>();
    const delivered: string[] = [];
    wakeUps.listen(async (stepId) => {
      delivered.push(stepId);
      if (stepId.startsWith("long")) await opened;
      return { state: "done", log: ["worked"] };
    }, 3);
    await wakeUps.wake([wakeUp("long.1"), wakeUp("long.2"), wakeUp("long.3")]);
    await waitFor(() => delivered.length === 3);
    await server.stop();
    letGo();
    await outage();
    await server.start();
    expect(await wakeUntilDelivered(wakeUps, "after", delivered)).toBeLessThan(SECONDS_MS);
  }, 60_000);

  test.concurrent("a listener takes jobs again after Redis was frozen", async () => {
    await using server = await startRedis();
    const { wakeUps } = await openOn(server);
    await using _ = wakeUps;
    const delivered = listen(wakeUps);
    await wakeUntilDelivered(wakeUps, "before", delivered);
    await server.pause();
    await outage();
    await server.resume();
    expect(await wakeUntilDelivered(wakeUps, "after", delivered)).toBeLessThan(SECONDS_MS);
  }, 60_000);
});
