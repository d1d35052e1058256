import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { openGuardedRedis, waitForRedis } from "@mythic/shared/redis";
import { startRedis } from "@mythic/testing/redis";
import { type Family, readPrometheus } from "./prometheus-text.ts";
import { makeReady, startedRun, startTestApi, type TestApi, uploadedBook } from "./test-api.ts";
import { watchStore } from "./watched-store.ts";

async function metricsOf(api: TestApi, headers: Record<string, string> = {}): Promise<readonly Family[]> {
  const response = await fetch(`${api.url}/metrics`, { headers });
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toMatch(/^text\/plain; version=0\.0\.4/);
  return readPrometheus(await response.text());
}

/** What is shown on dashboards, so that none of it is renamed unawares. */
const NAMES = [
  "mythic_cache_coalesced_total",
  "mythic_cache_evictions_total",
  "mythic_cache_failed_loads_total",
  "mythic_cache_hits_total",
  "mythic_cache_invalidations_total",
  "mythic_cache_load_seconds_total",
  "mythic_cache_loads_total",
  "mythic_cache_memory_bytes",
  "mythic_cache_memory_entries",
  "mythic_cache_misses_total",
  "mythic_cache_not_stored_total",
  "mythic_cache_raw_bytes_total",
  "mythic_cache_saves_total",
  "mythic_cache_stale_total",
  "mythic_cache_stored_bytes_total",
  "mythic_http_request_seconds",
  "mythic_http_slow_requests_total",
  "mythic_rate_limit_decisions_total",
  "mythic_redis_breaker_errors_total",
  "mythic_redis_breaker_opens_total",
  "mythic_redis_breaker_state",
  "mythic_redis_breaker_timeouts_total",
  "mythic_redis_evicted_keys_total",
  "mythic_redis_keys",
  "mythic_redis_keyspace_hits_total",
  "mythic_redis_keyspace_misses_total",
  "mythic_redis_latency_seconds",
  "mythic_redis_max_memory_bytes",
  "mythic_redis_memory_bytes",
  "mythic_redis_up",
  "mythic_steps_oldest_due_seconds",
  "mythic_steps_running",
  "mythic_steps_waiting",
];

describe("what Prometheus is told", () => {
  const stack = new AsyncDisposableStack();
  let api: TestApi;
  let families: readonly Family[];
  let admin: { readonly authorization: string };
  beforeAll(async () => {
    const server = stack.use(await startRedis({ args: ["--maxmemory", "100mb"] }));
    const queueRedis = openGuardedRedis(server.url, { commandTimeoutMs: 800 });
    stack.defer(() => queueRedis.close());
    await waitForRedis(queueRedis, 5_000);
    api = stack.use(await startTestApi({ redisUrl: server.url, queueRedis }));
    const [key, boss] = [await api.key("me"), await api.key("boss", "admin")];
    admin = { authorization: boss.authorization };
    const mine = { authorization: key.authorization };
    const book = await uploadedBook(api, mine);
    const { id } = await startedRun(api, book.id, mine);
    await makeReady(api, "me", book.id, 3);
    const [step] = await api.store.steps.ofRun("me", id);
    await api.store.steps.claim(step?.id ?? "", "test", 60_000);
    for (let time = 0; time < 5; time++) await fetch(`${api.url}/status/${id}`, { headers: mine });
    await fetch(`${api.url}/nothing`);
    await fetch(`${api.url}/books/${book.id}/nothing`);
    families = await metricsOf(api, admin);
  });
  afterAll(() => stack.disposeAsync());

  const sampleOf = (name: string, labels: Record<string, string> = {}) =>
    families
      .flatMap(({ samples }) => samples)
      .find(
        (one) =>
          one.name === name && Object.entries(labels).every(([key, value]) => one.labels[key] === value),
      )?.value;

  test("is what it was yesterday, by name", () => {
    expect(families.map(({ name }) => name).sort()).toEqual(NAMES);
  });

  test("has names as they are customary: counters end in _total, units are base units", () => {
    for (const { name, type } of families) {
      expect([name, name.endsWith("_total")]).toEqual([name, type === "counter"]);
      expect(name).not.toMatch(/_(?:ms|milliseconds|kb|mb)(?:_|$)/);
      expect(name).toMatch(/^mythic_[a-z_]+$/);
    }
  });

  test("shows the queue: how many wait and are at work, and for how long the oldest has waited", () => {
    expect(sampleOf("mythic_steps_waiting")).toBe(2);
    expect(sampleOf("mythic_steps_running")).toBe(1);
    expect(sampleOf("mythic_steps_oldest_due_seconds")).toBeGreaterThan(0);
    expect(sampleOf("mythic_steps_oldest_due_seconds")).toBeLessThan(60);
  });

  test.each(["queue", "cache"])("shows the Redis of the %s", (role) => {
    const redis = (name: string) => sampleOf(`mythic_redis_${name}`, { role });
    expect(redis("up")).toBe(1);
    expect(redis("breaker_state")).toBe(0);
    expect(redis("breaker_opens_total")).toEqual(expect.any(Number));
    expect(redis("latency_seconds")).toBeGreaterThan(0);
    expect(redis("memory_bytes")).toBeGreaterThan(100_000);
    expect(redis("max_memory_bytes")).toBe(104_857_600);
    expect(redis("keys")).toBeGreaterThan(3);
    expect(redis("keyspace_hits_total")).toBeGreaterThan(0);
    expect(redis("keyspace_misses_total")).toBeGreaterThan(0);
    expect(redis("evicted_keys_total")).toBe(0);
  });

  test("shows the cache by family, and what limits decided", () => {
    const family = "run-status";
    expect(sampleOf("mythic_cache_hits_total", { family, tier: "l1" })).toBeGreaterThan(0);
    expect(sampleOf("mythic_cache_loads_total", { family })).toEqual(expect.any(Number));
    expect(sampleOf("mythic_cache_memory_bytes")).toBeGreaterThan(0);
    const limiter = "mythic_rate_limit_decisions_total";
    expect(sampleOf(limiter, { outcome: "allowed", tier: "redis" })).toBeGreaterThan(0);
    expect(sampleOf(limiter, { outcome: "allowed", tier: "chunk" })).toBeGreaterThan(0);
  });

  test("shows requests by route, so that nobody can make up labels", () => {
    const http = families.find(({ name }) => name === "mythic_http_request_seconds");
    const routes = new Set(http?.samples.map(({ labels }) => labels["route"]));
    expect([...routes].sort()).toEqual(["GET /status/:run_id", "POST /books", "POST /runs", "none"]);
    expect(
      sampleOf("mythic_http_request_seconds_count", { route: "GET /status/:run_id", status: "200" }),
    ).toBe(5);
    expect(sampleOf("mythic_http_request_seconds_count", { route: "none", status: "404" })).toBe(2);
  });

  test("says nothing of users, books and runs", async () => {
    const text = await (await fetch(`${api.url}/metrics`, { headers: admin })).text();
    expect(text).not.toMatch(/book_0|run_0|"me"|boss/);
  });
});

test("what does not answer is left out, and the rest is told within a second or so", async () => {
  await using server = await startRedis();
  const queueRedis = openGuardedRedis(server.url, { commandTimeoutMs: 800 });
  try {
    await waitForRedis(queueRedis, 5_000);
    let letGo: () => void = () => undefined;
    await using api = await startTestApi({
      queueRedis,
      wrapStore(store) {
        const watched = watchStore(store);
        letGo = watched.hold("dispatch.backlog");
        return watched.store;
      },
    });
    await server.pause();
    const begun = performance.now();
    const families = await metricsOf(api);
    // What was waited for would be waited for for ever.
    expect(performance.now() - begun).toBeLessThan(10_000);
    letGo();
    await server.resume();
    const up = families.find(({ name }) => name === "mythic_redis_up");
    expect(up?.samples).toEqual([{ name: "mythic_redis_up", labels: { role: "queue" }, value: 0 }]);
    const names = families.map(({ name }) => name);
    expect(names).not.toContain("mythic_redis_memory_bytes");
    expect(names).not.toContain("mythic_steps_waiting");
    expect(names).toContain("mythic_cache_hits_total");
  } finally {
    await queueRedis.close();
  }
});
