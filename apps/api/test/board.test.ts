import { appRoutes } from "@bull-board/api/dist/routes.js";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { newId } from "@mythic/runs";
import { type BullMqWakeUps, openBullMqWakeUps } from "@mythic/runs/wake-ups";
import { startRedis, type TestRedis } from "@mythic/testing/redis";
import { waitFor } from "@mythic/testing/wait";
import { problemOf, startTestApi, type TestApi } from "./test-api.ts";

describe("Bull Board", () => {
  let redis: TestRedis;
  let wakeUps: BullMqWakeUps;
  let api: TestApi;
  let writable: TestApi;
  let admin: string;
  let user: string;
  let jobId: string;
  beforeAll(async () => {
    redis = await startRedis();
    wakeUps = await openBullMqWakeUps({ redisUrl: redis.url });
    await waitFor(() => wakeUps.capacity() > 0, { what: "the queue" });
    api = await startTestApi({ wakeUps, queue: wakeUps.queue });
    writable = await startTestApi({ queue: wakeUps.queue, config: { boardWrite: true } });
    admin = (await api.key("boss", "admin")).authorization;
    user = (await api.key("me")).authorization;
    const [bookId, runId] = [newId("book"), newId("run")];
    const step = { stepId: `${runId}.summary.chapter.0000`, dispatch: 1, kind: "chapter", recipe: "summary" };
    await wakeUps.wake([{ ...step, kind: "chapter", bookId, runId, priority: 1 }]);
    const [job] = await wakeUps.queue.getJobs();
    jobId = job?.id ?? "";
  });
  afterAll(async () => {
    await writable.close();
    await api.close();
    await redis[Symbol.asyncDispose]();
  });

  const board = (path = "", headers: Record<string, string> = {}, method = "GET", on = api) =>
    fetch(`${on.url}/admin/queues${path}`, { method, headers });
  const basic = (authorization: string) => ({
    authorization: `Basic ${Buffer.from(`anyone:${authorization.slice(7)}`).toString("base64")}`,
  });

  test("a browser is asked for a key", async () => {
    const response = await board();
    expect(response.status).toBe(401);
    expect(response.headers.get("www-authenticate")).toBe('Basic realm="mythic", charset="UTF-8"');
    expect((await problemOf(response)).code).toBe("unauthorized");
  });

  test("an admin's key opens it, as password and as bearer", async () => {
    for (const headers of [basic(admin), { authorization: admin }]) {
      const response = await board("", headers);
      expect(response.status).toBe(200);
      expect(response.headers.get("content-type")).toContain("text/html");
      expect(response.headers.get("content-security-policy")).not.toMatch(/https?:|unsafe-eval/);
      const html = await response.text();
      expect(html).not.toMatch(/(?:href|src)="(?:https?:)?\/\//);
      for (const [, path] of html.matchAll(/<script[^>]* src="(static[^"]+)"/g)) {
        expect((await board(`/${path}`, headers)).status).toBe(200);
        expect((await board(`/${path}`)).status).toBe(401);
      }
    }
  });

  test("a user's key does not", async () => {
    for (const headers of [basic(user), { authorization: user }]) {
      const response = await board("", headers);
      expect(response.status).toBe(403);
      expect((await problemOf(response)).code).toBe("admin_required");
    }
    expect((await board("/api/queues", { authorization: user })).status).toBe(403);
  });

  test("jobs are shown by recipe, kind and book, with the ids of their run and step", async () => {
    const response = await board("/api/queues?activeQueue=mythic-steps&page=1", { authorization: admin });
    expect(response.status).toBe(200);
    const text = await response.text();
    expect(text).toMatch(/summary chapter book_/);
    expect(text).toContain('"readOnlyMode":true');
    expect(text).toMatch(/"stepId":"run_[^"]+","bookId":"book_[^"]+","runId":"run_/);
    // A browser hands in its key to the board alone, so a link out of it would lead to a 401.
    expect(text).not.toContain("Show the run");
  });

  test("as long as it is read-only, nothing that the board can do to a queue is done", async () => {
    const place = new Map([
      [":queueName", "mythic-steps"],
      [":jobId", encodeURIComponent(jobId)],
      [":queueStatus", "failed"],
    ]);
    const path = (route: string) => route.replace(/:\w+/g, (name) => place.get(name) ?? "x");
    const writing = appRoutes.api.flatMap(({ method, route }) =>
      [method]
        .flat()
        .flatMap((verb) => (verb === "get" ? [] : [route].flat().map((one) => [verb, path(one)]))),
    );
    expect(writing.length).toBeGreaterThan(15);
    const before = await wakeUps.queue.getJobCounts();
    const headers = { authorization: admin, "content-type": "application/json" };
    for (const [verb = "", one = ""] of writing) {
      const method = verb.toUpperCase();
      const body = JSON.stringify({
        concurrency: 1,
        name: "x",
        data: {},
        jobData: {},
        delay: 1,
        priority: 1,
      });
      const response = await fetch(`${api.url}/admin/queues${one}`, { method, headers, body });
      // These answer for all queues that may be changed, and here are none.
      const ofAll = one === "/api/queues/pause" || one === "/api/queues/resume";
      expect([`${method} ${one}`, response.status >= 400]).toEqual([`${method} ${one}`, !ofAll]);
    }
    expect(await wakeUps.queue.getJobCounts()).toEqual(before);
    expect(await wakeUps.queue.getGlobalConcurrency()).toBeNull();
    expect(await wakeUps.queue.isPaused()).toBe(false);
  });

  test("nothing can be changed unless that was allowed", async () => {
    const path = `/api/queues/mythic-steps/${encodeURIComponent(jobId)}/clean`;
    expect((await board(path, { authorization: admin }, "PUT")).status).toBe(405);
    expect(await wakeUps.queue.getJob(jobId)).toBeDefined();
    await using open = await startTestApi({ queue: wakeUps.queue, config: { boardWrite: true } });
    const boss = (await open.key("boss", "admin")).authorization;
    const changed = await board(path, { authorization: boss }, "PUT", open);
    expect(changed.status).toBeLessThan(300);
    expect(await wakeUps.queue.getJob(jobId)).toBeUndefined();
  });

  test("a page of another site cannot make an admin's browser write", async () => {
    const boss = basic((await writable.key("boss", "admin")).authorization);
    const { host } = new URL(writable.url);
    const path = "/api/queues/mythic-steps/pause";
    for (const headers of [
      { "sec-fetch-site": "cross-site" },
      { "sec-fetch-site": "same-site" },
      { origin: "https://evil.example" },
      { origin: "null" },
    ]) {
      const response = await board(path, { ...boss, ...headers }, "PUT", writable);
      expect(response.status).toBe(403);
      expect((await problemOf(response)).code).toBe("forbidden_origin");
    }
    expect(await wakeUps.queue.isPaused()).toBe(false);
    const own = { ...boss, origin: `http://${host}` };
    expect((await board(path, own, "PUT", writable)).status).toBe(200);
    expect(await wakeUps.queue.isPaused()).toBe(true);
    await wakeUps.queue.resume();
  });

  test("a Redis that does not answer is said to, and nothing else is", async () => {
    await redis.pause();
    try {
      const response = await board("/api/queues", { authorization: admin });
      expect(response.status).toBe(500);
      const text = await response.text();
      expect(text).toContain("Redis does not answer");
      expect(text).not.toMatch(/timed out|ECONN|mythic\}?:|node_modules/i);
    } finally {
      await redis.resume();
    }
  });
});

test("without a queue the board says so", async () => {
  await using api = await startTestApi();
  const response = await fetch(`${api.url}/admin/queues`);
  expect(response.status).toBe(503);
  expect((await problemOf(response)).code).toBe("queue_not_configured");
});
