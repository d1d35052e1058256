import { describe, expect, test } from "@jest/globals";
import { openGuardedRedis, primariesOf, waitForRedis } from "@mythic/shared/redis";
import { PATIENT_MS, startRedis } from "@mythic/testing/redis";
import { waitFor } from "@mythic/testing/wait";
import { problemOf, startTestApi } from "./test-api.ts";

async function timed(url: string, headers: Record<string, string> = {}) {
  const begun = performance.now();
  const response = await fetch(url, { headers });
  const body: unknown = await response.json();
  return { status: response.status, body, ms: performance.now() - begun };
}

describe("health", () => {
  test("without Redis everything is well, and Redis is off", async () => {
    await using api = await startTestApi();
    expect(await timed(`${api.url}/health/live`)).toMatchObject({ status: 200, body: { status: "ok" } });
    expect(await timed(`${api.url}/health/ready`)).toMatchObject({ status: 200, body: { status: "ok" } });
    expect(await timed(`${api.url}/health/redis`)).toMatchObject({
      status: 200,
      body: {
        status: "off",
        roles: { queue: { state: "not_configured" }, cache: { state: "not_configured" } },
      },
    });
  });

  test("without its store the API is alive and not ready", async () => {
    await using api = await startTestApi();
    await api.store[Symbol.asyncDispose]();
    expect((await fetch(`${api.url}/health/live`)).status).toBe(200);
    const response = await fetch(`${api.url}/health/ready`);
    expect(response.status).toBe(503);
    expect((await problemOf(response)).code).toBe("not_ready");
    const books = await fetch(`${api.url}/books/my`);
    expect(books.status).toBe(503);
    expect(books.headers.get("retry-after")).toBe("2");
    expect((await problemOf(books)).code).toBe("store_unavailable");
  });

  test("a Redis is well, frozen, and well again, and health is told of it soon", async () => {
    await using server = await startRedis();
    const redis = openGuardedRedis(server.url, { commandTimeoutMs: PATIENT_MS });
    try {
      await waitForRedis(redis, 5_000);
      const clock = { at: 0 };
      await using api = await startTestApi({
        queueRedis: redis,
        clock: { now: () => clock.at, delay: async () => undefined },
      });
      const admin = await api.key("boss", "admin");
      const user = await api.key("me");
      const ask = (authorization?: string) => {
        clock.at += 1_000;
        return timed(`${api.url}/health/redis`, authorization === undefined ? {} : { authorization });
      };

      const bare = { status: "ok", roles: { queue: { state: "ok" }, cache: { state: "not_configured" } } };
      expect((await ask()).body).toEqual(bare);
      expect((await ask(user.authorization)).body).toEqual(bare);
      expect((await ask("Bearer nonsense")).body).toEqual(bare);
      expect((await ask(admin.authorization)).body).toMatchObject({
        roles: {
          queue: {
            state: "ok",
            latency_ms: expect.any(Number),
            version: expect.any(String),
            used_memory: expect.any(Number),
            policy: "noeviction",
            breaker: { state: "closed", opened_at: null },
            last_error: null,
          },
        },
      });

      await server.pause();
      const frozen = await ask(admin.authorization);
      expect(frozen).toMatchObject({
        status: 200,
        body: {
          status: "degraded",
          roles: { queue: { state: "unreachable", last_error: expect.any(String) } },
        },
      });
      // Within a second, were this machine never busy.
      expect(frozen.ms).toBeLessThan(5_000);
      clock.at += 1_000;
      const ready = await timed(`${api.url}/health/ready`);
      expect(ready).toMatchObject({ status: 200, body: { status: "degraded" } });
      expect(ready.ms).toBeLessThan(5_000);

      await server.resume();
      await waitFor(async () => (await ask()).body, { what: "Redis to be well again" });
      expect((await ask()).body).toEqual(bare);
    } finally {
      await redis.close();
    }
  });

  test("many who ask at once cost one question a second", async () => {
    await using server = await startRedis();
    const redis = openGuardedRedis(server.url, { commandTimeoutMs: PATIENT_MS });
    try {
      await waitForRedis(redis, 5_000);
      const clock = { at: 0 };
      await using api = await startTestApi({
        queueRedis: redis,
        clock: { now: () => clock.at, delay: async () => undefined },
      });
      const questions = async () => {
        const [server] = primariesOf(redis.connection);
        return Number(/cmdstat_info:calls=(\d+)/.exec((await server?.info("commandstats")) ?? "")?.[1] ?? 0);
      };
      const ask = () => fetch(`${api.url}/health/redis`).then((response) => response.json());
      const before = await questions();
      await Promise.all([ask(), ask(), ask()]);
      clock.at = 999;
      await ask();
      // This test's own question is one, too.
      expect(await questions()).toBe(before + 2);
      clock.at = 1_000;
      await ask();
      expect(await questions()).toBe(before + 4);
    } finally {
      await redis.close();
    }
  });
});
