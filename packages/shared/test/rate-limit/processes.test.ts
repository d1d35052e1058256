import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { startProcess } from "@mythic/testing/process";
import { redisUrl } from "@mythic/testing/redis";
import { Redis } from "ioredis";
import { freshNamespace } from "./set-up.ts";

const PROCESSES = 4;
const LIMIT = 1_000;

let stack: AsyncDisposableStack;
beforeEach(() => {
  stack = new AsyncDisposableStack();
});
afterEach(() => stack.disposeAsync());

/** Has processes call all at the same time, more often than the limit allows, and says what each of them got. */
async function race(chunk: number) {
  const [url, namespace] = [await redisUrl(), freshNamespace()];
  const settings = { redisUrl: url, namespace, instances: PROCESSES, chunk, limit: LIMIT, calls: 600 };
  const children = await Promise.all(
    Array.from({ length: PROCESSES }, async () =>
      stack.use(
        await startProcess(fileURLToPath(new URL("limiter-child.ts", import.meta.url)), {
          args: [JSON.stringify(settings)],
          ready: /^ready$/,
        }),
      ),
    ),
  );
  const redis = new Redis(url);
  await redis.set(`${namespace}:go`, "1", "PX", 60_000);
  redis.disconnect();
  return await Promise.all(
    children.map(async (child) => {
      const [, passed, alone] = await child.line(/^passed (\d+) alone (\d+)$/, 20_000);
      expect(await child.ended()).toBe(0);
      return { passed: Number(passed), alone: Number(alone) };
    }),
  );
}

const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0);

test("processes that call all at once get exactly the limit together", async () => {
  const counts = await race(0);
  // In the seconds that this takes nothing worth a unit drains.
  expect(sum(counts.map(({ passed }) => passed))).toBe(LIMIT);
  expect(sum(counts.map(({ alone }) => alone))).toBe(0);
});

test("processes with chunks get no more than the limit together, and little less, mostly without asking", async () => {
  const chunk = 25;
  const counts = await race(chunk);
  const passed = sum(counts.map((count) => count.passed));
  // The burst pays once for what each process may hold.
  expect(passed).toBeLessThanOrEqual(LIMIT);
  expect(passed).toBeGreaterThanOrEqual(LIMIT - 2 * PROCESSES * chunk);
  expect(sum(counts.map(({ alone }) => alone))).toBeGreaterThan(0.9 * passed);
});
