import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { redisUrl } from "@mythic/testing/redis";
import { waitFor } from "@mythic/testing/wait";
import type { z } from "zod";
import { cacheStatsSchema } from "../src/wire/cache.ts";
import {
  makeReady,
  problemOf,
  startedRun,
  startTestApi,
  type TestApi,
  uploadedBook,
  work,
} from "./test-api.ts";
import { watchStore } from "./watched-store.ts";

type Stats = z.infer<typeof cacheStatsSchema>;

const statsOf = async (api: TestApi): Promise<Stats> =>
  cacheStatsSchema.parse(await (await fetch(`${api.url}/cache/stats`)).json());
const get = (api: TestApi, path: string) => fetch(`${api.url}${path}`);

describe("the cache, as operators see it", () => {
  const stack = new AsyncDisposableStack();
  let api: TestApi;
  let run: string;
  let book: string;
  beforeAll(async () => {
    api = stack.use(await startTestApi({ redisUrl: await redisUrl() }));
    book = (await uploadedBook(api)).id;
    await makeReady(api, "local", book);
    run = (await startedRun(api, book)).id;
    await work(api, "local", run);
  });
  afterAll(() => stack.disposeAsync());

  /** Fills every family that a local user has. */
  const PATHS = () => [`/status/${run}`, "/books/my", `/books/${book}`, `/runs/${run}/result`];
  const warm = async () => {
    for (const path of PATHS()) expect((await get(api, path)).status).toBe(200);
  };
  /** Which of them are not cached. */
  const missing = async () => {
    const missed: string[] = [];
    for (const path of PATHS()) {
      const response = await get(api, path);
      if (response.headers.get("cache-status") === "mythic; fwd=miss") missed.push(path);
    }
    return missed;
  };

  test("its figures are those of all processes together", async () => {
    const other = stack.use(await startTestApi({ redisUrl: await redisUrl(), beside: api }));
    const before = (await statsOf(api)).families["run-status"];
    for (let time = 0; time < 3; time++) await get(api, `/status/${run}`);
    for (let time = 0; time < 4; time++) await get(other, `/status/${run}`);
    // Each tells of itself when it is asked, and every few seconds.
    await statsOf(other);
    const { processes, families, memory, redis, total } = await statsOf(api);
    const status = families["run-status"];
    if (!before || !status) throw new Error("There is no such family.");
    expect(processes).toBe(2);
    const found = (family: typeof status) => family.hits.l1 + family.hits.redis;
    const looked = (family: typeof status) =>
      found(family) + Object.values(family.misses).reduce((sum, count) => sum + count, 0);
    expect(looked(status) - looked(before)).toBe(7);
    expect(status.hits.l1).toBeGreaterThan(0);
    expect(status.hits.redis).toBeGreaterThan(0);
    expect(status.keys).toBe(1);
    expect(status.raw_bytes).toBeGreaterThan(100);
    expect(status.hit_rate.since_start).toBeGreaterThan(0);
    expect(total?.loads).toBeGreaterThanOrEqual(status.loads);
    expect(memory?.bytes).toBeGreaterThan(0);
    expect(redis?.used_memory).toBeGreaterThan(0);
  });

  test("nobody's values, ids or names are in its figures", async () => {
    await warm();
    const text = JSON.stringify(await statsOf(api));
    for (const secret of [run, book, "local", "The Bell"]) expect(text).not.toContain(secret);
  });

  test.each([
    ["family=book", () => [`/books/${book}`]],
    ["family=run-status", () => [`/status/${run}`]],
    ["pattern=run-status:*", () => [`/status/${run}`]],
    [`pattern=book*:*`, () => ["/books/my", `/books/${book}`]],
    ["pattern=quiz:*", () => []],
    ["tag=user:local:books", () => ["/books/my"]],
    ["tag=user:someone:books", () => []],
    ["all=true", () => PATHS()],
  ])("DELETE /cache?%s removes what it says, and says how many", async (query, gone) => {
    await warm();
    const response = await fetch(`${api.url}/cache?${query}`, { method: "DELETE" });
    expect(response.status).toBe(200);
    const { removed } = (await response.json()) as { readonly removed: number };
    expect(removed).toBe(gone().length);
    expect(await missing()).toEqual(gone());
  });

  test.each([
    "",
    "all=false",
    "all=1",
    "family=nothing",
    "family=",
    "pattern=",
    "tag=books",
    "tag=user::books",
    "tag=user:local:",
    "family=book&all=true",
    "family=book&family=book",
    "pattern=*&tag=user:local:books",
    "key=x",
    "all=true&force=true",
  ])("DELETE /cache?%s is a 400 and removes nothing", async (query) => {
    await warm();
    const response = await fetch(`${api.url}/cache?${query}`, { method: "DELETE" });
    expect(response.status).toBe(400);
    expect(await problemOf(response)).toMatchObject({ code: "invalid_selection" });
    expect(await missing()).toEqual([]);
  });

  test("of a value everything is told but the value", async () => {
    await warm();
    const key = `${api.caching.namespace}:c:{u.local}:v:run-status.1:${run}`;
    const response = await get(api, `/cache/keys/${encodeURIComponent(key)}`);
    const text = await response.text();
    const { revision } = (await api.store.runs.get("local", run)) ?? {};
    expect(JSON.parse(text)).toMatchObject({
      key,
      family: "run-status",
      scope: "u.local",
      redis_state: "there",
      memory: { revision, is_negative: false },
      redis: { revision, bytes: expect.any(Number), is_compressed: expect.any(Boolean) },
    });
    expect(text).not.toContain(book);
    expect(text).not.toContain("succeeded");
  });

  test.each([
    ["a key of nothing", () => `${api.caching.namespace}:c:{u.local}:v:run-status.1:run_0`],
    ["a tag", () => `${api.caching.namespace}:c:{u.local}:t:user:local:books`],
    ["a key of a limit", () => `${api.caching.namespace}:r:{local}:reads`],
    ["a key of someone else's program", () => "sessions:1"],
  ])("of %s nothing is told", async (_name, key) => {
    await warm();
    expect((await get(api, `/cache/keys/${encodeURIComponent(key())}`)).status).toBe(404);
  });
});

test("without a cache there are no figures, and there is nothing to remove", async () => {
  await using api = await startTestApi({ isUncached: true });
  expect(await statsOf(api)).toMatchObject({ is_on: false, processes: 0, families: {}, total: null });
  const removed = await fetch(`${api.url}/cache?all=true`, { method: "DELETE" });
  expect(await removed.json()).toEqual({ removed: 0 });
  expect((await get(api, "/cache/keys/x")).status).toBe(404);
});

test("a request that takes too long is a warning in the log, and counted", async () => {
  let letGo: () => void = () => undefined;
  let isHeld = () => false;
  await using api = await startTestApi({
    config: { slowRequestMs: 1_000 },
    wrapStore(store) {
      const watched = watchStore(store);
      letGo = watched.hold("books.list");
      isHeld = () => watched.calls("books.list") > 0;
      return watched.store;
    },
  });
  const slow = get(api, "/books/my?limit=3");
  await waitFor(isHeld);
  const begun = performance.now();
  await waitFor(() => performance.now() - begun > 1_050, { everyMs: 5 });
  letGo();
  expect((await slow).status).toBe(200);
  await get(api, "/health/live");
  const line = await waitFor(() => api.log.find(({ msg }) => msg === "slow request"));
  // 40: a warning. No query, as that may hold anything.
  expect(line).toMatchObject({ level: 40, method: "GET", path: "/books/my", status: 200, user: "local" });
  expect(Number(line["ms"])).toBeGreaterThanOrEqual(1_000);
  const metrics = await (await get(api, "/metrics")).text();
  expect(metrics).toContain('mythic_http_slow_requests_total{route="GET /books/my"} 1');
  expect(metrics).not.toContain('slow_requests_total{route="GET /health/live"}');
});
