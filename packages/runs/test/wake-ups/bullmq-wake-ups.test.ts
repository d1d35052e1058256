import { afterAll, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { startRedis, type TestRedis } from "@mythic/testing/redis";
import { waitFor } from "@mythic/testing/wait";
import { Redis } from "ioredis";
import { type BullMqWakeUps, openBullMqWakeUps, openWakeUps } from "../../src/wake-ups/open-wake-ups.ts";
import { describeWakeUps, wakeUp } from "./wake-ups.suite.ts";

let server: TestRedis;
let redis: Redis;

beforeAll(async () => {
  server = await startRedis();
  redis = new Redis(server.url);
});

afterAll(async () => {
  redis.disconnect();
  await server[Symbol.asyncDispose]();
});

beforeEach(async () => {
  await redis.flushall();
});

const open = (): Promise<BullMqWakeUps> => openBullMqWakeUps({ redisUrl: server.url });

describeWakeUps("the wake-ups of BullMQ", open);

describe("the wake-ups of BullMQ, in particular", () => {
  test("a configured Redis opens them", async () => {
    await using wakeUps = await openWakeUps({ queueRedisUrl: server.url });
    expect(wakeUps.kind).toBe("bullmq");
    await waitFor(() => wakeUps.capacity() === 500);
  });

  test("the queue shows names for people and holds ids only", async () => {
    await using wakeUps = await open();
    await wakeUps.wake([
      wakeUp("run_1.summary.chapter.3", { dispatch: 2 }),
      wakeUp("book_1.parse", { kind: "parse", recipe: null, runId: null }),
    ]);
    const jobs = await wakeUps.queue.getJobs(["prioritized"], 0, 10, true);
    expect(jobs.map(({ id, name, data, opts }) => ({ id, name, data, priority: opts.priority }))).toEqual([
      {
        id: "run_1.summary.chapter.3-d2",
        name: "summary chapter book_1",
        data: { stepId: "run_1.summary.chapter.3", bookId: "book_1", runId: "run_1" },
        priority: 1,
      },
      {
        id: "book_1.parse-d1",
        name: "parse book_1",
        data: { stepId: "book_1.parse", bookId: "book_1", runId: null },
        priority: 1,
      },
    ]);
  });

  test("a failed step shows as a failed job with its error and its log, and is not tried again", async () => {
    await using wakeUps = await open();
    let calls = 0;
    wakeUps.listen(async () => {
      calls += 1;
      return { state: "failed", error: "the model refused", log: ["asked", "refused"] };
    }, 1);
    await wakeUps.wake([wakeUp("step")]);
    await waitFor(async () => (await wakeUps.queue.getFailedCount()) === 1);
    const [job] = await wakeUps.queue.getFailed();
    expect(job?.failedReason).toBe("the model refused");
    expect(job?.stacktrace).toEqual([]);
    expect((await wakeUps.queue.getJobLogs("step-d1")).logs).toEqual(["asked", "refused"]);
    expect(calls).toBe(1);
  });

  test("a done and a skipped step show as completed jobs that say so, with their log", async () => {
    await using wakeUps = await open();
    wakeUps.listen(async (stepId) => ({ state: stepId === "a" ? "done" : "skipped", log: [stepId] }), 1);
    await wakeUps.wake([wakeUp("a"), wakeUp("b")]);
    await waitFor(async () => (await wakeUps.queue.getCompletedCount()) === 2);
    const [a, b] = await wakeUps.queue.getJobs(["completed"], 0, 10, true);
    expect([a?.returnvalue, b?.returnvalue]).toEqual(["done", "skipped"]);
    expect((await wakeUps.queue.getJobLogs("b-d1")).logs).toEqual(["b"]);
  });

  test("the history is bounded", async () => {
    await using wakeUps = await open();
    await wakeUps.wake([wakeUp("step")]);
    const job = await wakeUps.queue.getJob("step-d1");
    expect(job?.opts).toMatchObject({
      attempts: 1,
      removeOnComplete: { age: 3_600, count: 5_000 },
      removeOnFail: { age: 604_800, count: 1_000 },
      keepLogs: 50,
      stackTraceLimit: 0,
      sizeLimit: 16_384,
    });
  });

  test("a job that was written by something else fails and goes no further", async () => {
    await using wakeUps = await open();
    const delivered: string[] = [];
    await redis.flushall();
    await wakeUps.wake([wakeUp("step")]);
    await redis.hset("{mythic}:mythic-steps:step-d1", "data", '{"step":1}');
    wakeUps.listen(async (stepId) => {
      delivered.push(stepId);
      return { state: "done" };
    }, 1);
    await waitFor(async () => (await wakeUps.queue.getFailedCount()) === 1);
    expect(delivered).toEqual([]);
  });

  test("a queue that was never seen counts as wiped once, and one that is there does not", async () => {
    await using first = await open();
    expect([await first.wasWiped(), await first.wasWiped()]).toEqual([true, false]);
    await using second = await open();
    expect(await second.wasWiped()).toBe(false);
  });

  test("each process learns once that the queue was wiped", async () => {
    await using first = await open();
    await using second = await open();
    for (const wakeUps of [first, second]) await wakeUps.wasWiped();
    await redis.flushall();
    expect([await first.wasWiped(), await first.wasWiped()]).toEqual([true, false]);
    expect([await second.wasWiped(), await second.wasWiped()]).toEqual([true, false]);
  });

  test("an evicting Redis is reported", async () => {
    const errors: string[] = [];
    await redis.config("SET", "maxmemory-policy", "allkeys-lru");
    await using _wakeUps = await openBullMqWakeUps({
      redisUrl: server.url,
      onError: (error) => errors.push(String(error)),
    });
    await redis.config("SET", "maxmemory-policy", "noeviction");
    expect(errors).toEqual([expect.stringContaining("allkeys-lru, not noeviction")]);
  });
});
