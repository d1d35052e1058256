import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { openGuardedRedis, waitForRedis } from "@mythic/shared/redis";
import { startRedis, type TestRedis } from "@mythic/testing/redis";
import { waitFor } from "@mythic/testing/wait";
import { POLICIES } from "../src/policies.ts";
import { post, startedRun, startTestApi, type TestApi, textBook, upload, uploadedBook } from "./test-api.ts";

/** The longest that a command of Redis is waited for: longer than anything else takes on a machine that is busy. */
const TIMEOUT_MS = 2_000;
/** For everything else that the answer takes that waits for Redis. */
const SLACK_MS = 5_000;
/** Redis is tried again every five seconds. */
const BACK_MS = 20_000;

const LOSSES = {
  frozen: { lose: (redis: TestRedis) => redis.pause(), giveBack: (redis: TestRedis) => redis.resume() },
  gone: { lose: (redis: TestRedis) => redis.stop(), giveBack: (redis: TestRedis) => redis.start() },
};

describe.each(Object.entries(LOSSES))("with a Redis that is %s", (_name, { lose, giveBack }) => {
  let stack: AsyncDisposableStack;
  let redis: TestRedis;
  let one: TestApi;
  let other: TestApi;
  let headers: { readonly authorization: string };
  beforeEach(async () => {
    stack = new AsyncDisposableStack();
    redis = stack.use(await startRedis());
    const start = async (beside?: TestApi) => {
      const queueRedis = openGuardedRedis(redis.url, { commandTimeoutMs: TIMEOUT_MS });
      stack.defer(() => queueRedis.close());
      await waitForRedis(queueRedis, 10_000);
      const config = { policies: { ...POLICIES, writes: { limit: 20, periodMs: 600_000 } }, instances: 2 };
      const more = beside === undefined ? {} : { beside };
      const cache = { redisUrl: redis.url, commandTimeoutMs: TIMEOUT_MS };
      return stack.use(await startTestApi({ ...cache, queueRedis, config, ...more }));
    };
    one = await start();
    other = await start(one);
    const { authorization } = await one.key("me", "admin");
    headers = { authorization };
  });
  afterEach(() => stack.disposeAsync());

  async function timed(asking: () => Promise<Response>) {
    const begun = performance.now();
    const response = await asking();
    const text = await response.text();
    return { response, text, ms: performance.now() - begun };
  }

  const get = (api: TestApi, path: string) => fetch(`${api.url}${path}`, { headers });
  const statusAt = async (api: TestApi, path: string) => {
    const { status } = (await (await get(api, path)).json()) as { readonly status: string };
    return status;
  };

  test("answers are right and come in time, limits hold, and everything is well again by itself", async () => {
    const book = await uploadedBook(one, headers, 1);
    const { id } = await startedRun(one, book.id, headers);
    const second = await startedRun(one, book.id, headers);
    for (const api of [one, other]) {
      for (const path of [`/status/${id}`, "/books/my"]) expect((await get(api, path)).status).toBe(200);
      await waitFor(async () => (await statusAt(api, "/health/redis")) === "ok");
    }
    await lose(redis);

    const first = await timed(() => get(one, `/status/${second.id}`));
    expect(first.response.status).toBe(200);
    expect(JSON.parse(first.text)).toMatchObject({ status: "queued" });
    expect(first.ms).toBeLessThan(TIMEOUT_MS + SLACK_MS);

    // Everything that is read or changed from now on is there without another wait for Redis.
    for (const [status, asking] of [
      [200, () => get(one, `/status/${id}`)],
      [200, () => get(one, "/books/my")],
      [201, () => upload(one, textBook(2), headers)],
      [202, () => post(one, "/runs", { book_id: book.id }, headers)],
      [200, () => post(one, `/runs/${id}/cancel`, undefined, headers)],
      [200, () => get(one, `/runs/${id}/result`)],
    ] as const) {
      const { response, ms } = await timed(asking);
      expect([response.url, response.status]).toEqual([response.url, status]);
      expect([response.url, ms < 0.9 * TIMEOUT_MS]).toEqual([response.url, true]);
    }
    // Those who watch are told within a second or so.
    for (const path of ["/health/ready", "/health/redis", "/cache/stats", "/metrics"]) {
      const { response, ms } = await timed(() => get(one, path));
      expect([path, response.status, ms < SLACK_MS]).toEqual([path, 200, true]);
    }
    // At once here, and at the other process within the second that it trusts what it knows.
    expect(await statusAt(one, `/status/${id}`)).toBe("cancelled");
    const told = async () => (await statusAt(other, `/status/${id}`)) === "cancelled";
    await waitFor(told, { what: "the other process to look at the store" });
    const { data } = (await (await get(one, "/books/my")).json()) as { readonly data: readonly unknown[] };
    expect(data).toHaveLength(2);

    // One of two processes has half of the writes, of which some were made; reads are let through [litellm#30211].
    const writes: number[] = [];
    for (let time = 0; time < 12; time++) {
      const gone = fetch(`${one.url}/books/book_0`, { method: "DELETE", headers });
      writes.push((await gone).status);
    }
    expect(writes.filter((status) => status !== 429).length).toBeLessThanOrEqual(10);
    expect(writes.at(-1)).toBe(429);
    expect((await get(one, "/books/my")).status).toBe(200);

    // An answer about Redis is good for a second.
    await waitFor(async () => (await statusAt(one, "/health/ready")) === "degraded");
    expect(await (await get(one, "/health/redis")).json()).toMatchObject({
      status: "degraded",
      roles: {
        cache: { state: "unreachable", breaker: { state: "open" }, last_error: expect.any(String) },
        queue: { state: "unreachable" },
      },
    });
    expect(await (await fetch(`${one.url}/health/redis`)).json()).toEqual({
      status: "degraded",
      roles: { cache: { state: "unreachable" }, queue: { state: "unreachable" } },
    });

    await giveBack(redis);
    for (const api of [one, other]) {
      const isWell = async () => (await statusAt(api, "/health/redis")) === "ok";
      await waitFor(isWell, { timeoutMs: BACK_MS, what: "Redis to be well again" });
    }
    // What was changed in the dark is what Redis has now, if it has it.
    for (const api of [one, other]) {
      expect(await statusAt(api, `/status/${id}`)).toBe("cancelled");
      await waitFor(
        async () =>
          (await get(api, `/status/${id}`)).headers.get("cache-status") === "mythic; hit; detail=memory",
      );
    }
  }, 60_000);
});
