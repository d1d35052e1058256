import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { freshDatabase, startMongo, type TestMongo } from "@mythic/testing/mongo";
import { startRedis, type TestRedis } from "@mythic/testing/redis";
import { waitFor } from "@mythic/testing/wait";
import { ENDED, type System, startSystem } from "../system/system.ts";

const LEASE_MS = 15_000;

let mongo: TestMongo | null;
let redis: TestRedis;
let system: System;

beforeAll(async () => {
  mongo = await startMongo();
});
afterAll(async () => {
  await mongo?.[Symbol.asyncDispose]();
});

beforeEach(async () => {
  redis = await startRedis();
  const mongodbUrl = mongo && freshDatabase(mongo.url);
  system = await startSystem({ mongodbUrl, redisUrl: redis.url, workers: 2, latencyMs: 500 });
});
afterEach(async () => {
  await system[Symbol.asyncDispose]();
  await redis[Symbol.asyncDispose]();
});

/** A run of the sample book with a call on its way, made by the worker that is answered. */
async function runAtWork() {
  const book = await system.readBook();
  const chapters = (await system.store.books.outlines("local", book)).filter(
    (one) => one.kind === "body",
  ).length;
  // The fault comes when all of them are on their way, and none is answered yet.
  system.model.script({ times: chapters, latencyMs: 3_000 });
  const before = system.model.calls().length;
  const { id } = await system.submit({ book_id: book });
  await waitFor(() => system.model.calls().length === before + chapters);
  const step = await waitFor(async () => (await system.steps(id)).find((at) => at.state === "running"));
  const owner = system.workers.find((worker) => step.owner?.includes(`.${worker.id}.`));
  if (!owner) throw new Error(`No worker has the step of ${step.owner}`);
  return { id, step, owner };
}

async function expectEachResultOnce(id: string) {
  const steps = await system.steps(id);
  expect(steps.every((step) => step.state === "done")).toBe(true);
  const ids = steps.map((step) => step.id);
  const results = await system.store.steps.results("local", ids);
  expect(results.map((result) => result.stepId)).toEqual(ids);
}

describe("a system of API, two workers, MongoDB and Redis", () => {
  test("another worker takes over the steps of one that was killed", async () => {
    const { id, owner } = await runAtWork();
    const before = (await system.steps(id)).filter(
      (step) => step.owner?.includes(`.${owner.id}.`) && step.state === "running",
    );
    owner.signal("SIGKILL");
    const run = await system.until(id, ENDED, 90_000);
    expect(run.status).toBe("succeeded");
    const steps = await system.steps(id);
    for (const lost of before) {
      const step = steps.find((at) => at.id === lost.id);
      expect(step).toMatchObject({ crashes: 1, attempts: 0 });
    }
    const extra = system.model.calls().length - steps.filter((step) => step.kind !== "finish").length;
    expect(extra).toBeLessThanOrEqual(before.length);
    await expectEachResultOnce(id);
  });

  test("a worker that sleeps through its lease writes nothing when it wakes up", async () => {
    const { id, owner } = await runAtWork();
    owner.signal("SIGSTOP");
    const asleep = (await system.steps(id)).filter(
      (step) => step.state === "running" && step.owner?.includes(`.${owner.id}.`),
    );
    expect(asleep.length).toBeGreaterThan(0);
    const run = await system.until(id, ENDED, 90_000);
    expect(run.status).toBe("succeeded");
    const settled = await system.steps(id);
    owner.signal("SIGCONT");
    for (const step of asleep) {
      const line = new RegExp(`"step":"${step.id.replaceAll(".", "\\.")}".*"state":"skipped"`);
      await owner.line(line, LEASE_MS);
    }
    expect(await system.steps(id)).toEqual(settled);
    await expectEachResultOnce(id);
  });

  test("a wiped Redis costs a run nothing but time", async () => {
    const { id } = await runAtWork();
    for (let wipes = 0; wipes < 3; wipes++) {
      await redis.wipe();
      const calls = system.model.calls().length;
      await waitFor(
        async () => system.model.calls().length > calls || ENDED.includes((await system.run(id)).status),
      );
    }
    expect((await system.until(id, ENDED)).status).toBe("succeeded");
    await expectEachResultOnce(id);
  });

  test("a run submitted while Redis is down is accepted at once and finished without it", async () => {
    const book = await system.readBook();
    await redis.stop();
    const asked = performance.now();
    const { id } = await system.submit({ book_id: book });
    expect(performance.now() - asked).toBeLessThan(3_000);
    expect((await system.until(id, ENDED)).status).toBe("succeeded");
    await expectEachResultOnce(id);
  });

  test("a run goes on while Redis is frozen and after it is back", async () => {
    const { id } = await runAtWork();
    await redis.pause();
    await waitFor(async () => (await system.steps(id)).some((step) => step.kind === "merge"), {
      timeoutMs: 60_000,
    });
    await redis.resume();
    expect((await system.until(id, ENDED)).status).toBe("succeeded");
    const next = await system.submit({ book_id: (await system.run(id)).book_id, options: { fresh: true } });
    expect((await system.until(next.id, ENDED)).status).toBe("succeeded");
  });

  test("workers restarted one after the other lose no attempt", async () => {
    const { id } = await runAtWork();
    for (const worker of [...system.workers]) {
      await system.startWorker();
      worker.signal("SIGTERM");
      expect(await worker.ended(30_000)).toBe(0);
    }
    expect((await system.until(id, ENDED)).status).toBe("succeeded");
    for (const step of await system.steps(id)) expect(step).toMatchObject({ attempts: 0, crashes: 0 });
    await expectEachResultOnce(id);
  });

  test("a frozen store is a 503 in time, and nothing is lost", async () => {
    if (!mongo) return;
    const { id } = await runAtWork();
    await mongo.pause();
    const asked = performance.now();
    const answer = await system.request(`/runs/${id}`);
    expect(answer.status).toBe(503);
    expect(await answer.json()).toMatchObject({ code: "store_unavailable" });
    expect(performance.now() - asked).toBeLessThan(5_500);
    expect((await system.request("/health/ready")).status).toBe(503);
    expect((await system.request("/health/live")).status).toBe(200);
    await mongo.resume();
    expect((await system.until(id, ENDED, 90_000)).status).toBe("succeeded");
    await expectEachResultOnce(id);
  });
});

describe("a worker that is told to stop", () => {
  test("hands back at once what cannot end in its grace, and another goes on with it", async () => {
    await system[Symbol.asyncDispose]();
    const mongodbUrl = mongo && freshDatabase(mongo.url);
    system = await startSystem({
      mongodbUrl,
      redisUrl: redis.url,
      workers: 1,
      env: { WORKER_DRAIN_MS: "300" },
    });
    const book = await system.readBook();
    const hang = system.model.script({ does: { kind: "hang" } });
    const { id } = await system.submit({ book_id: book });
    await waitFor(() => system.model.calls().length > 0);
    for (const worker of system.workers) {
      worker.signal("SIGTERM");
      expect(await worker.ended(10_000)).toBe(0);
    }
    const handedBack = (await system.steps(id)).filter((step) => step.handbacks > 0);
    expect(handedBack.length).toBeGreaterThan(0);
    for (const step of handedBack) expect(step).toMatchObject({ state: "pending", attempts: 0, crashes: 0 });
    hang.remove();
    await system.startWorker();
    expect((await system.until(id, ENDED)).status).toBe("succeeded");
  });
});
