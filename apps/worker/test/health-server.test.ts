import { once } from "node:events";
import { connect } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { type HealthServer, startHealthServer } from "../src/health-server.ts";

let server: HealthServer;
let isReady: boolean;
const metrics = { type: "text/plain; version=0.0.4", text: async () => "mythic_cache_hits_total 1\n" };

beforeEach(async () => {
  isReady = true;
  const ready = async () => {
    if (!isReady) throw new Error("secret reason");
  };
  server = await startHealthServer({ port: 0, ready, metrics });
});

afterEach(async () => {
  await server[Symbol.asyncDispose]();
});

async function get(path: string): Promise<[number, unknown]> {
  const response = await fetch(`http://127.0.0.1:${server.port}${path}`);
  return [response.status, await response.json()];
}

describe("the worker's own health routes", () => {
  test("say that it lives and that it is ready", async () => {
    expect(await get("/health/live")).toEqual([200, { status: "ok" }]);
    expect(await get("/health/ready")).toEqual([200, { status: "ok" }]);
  });

  test("say that it lives and is not ready while it cannot work, and not why", async () => {
    isReady = false;
    expect(await get("/health/live")).toEqual([200, { status: "ok" }]);
    expect(await get("/health/ready")).toEqual([503, { status: "not_ready" }]);
  });

  test("tell Prometheus the worker's figures", async () => {
    const response = await fetch(`http://127.0.0.1:${server.port}/metrics`);
    expect(response.headers.get("content-type")).toBe(metrics.type);
    expect(await response.text()).toBe("mythic_cache_hits_total 1\n");
  });

  test("know no other path", async () => {
    expect(await get("/")).toEqual([404, { status: "not_found" }]);
  });

  test("close at once, also with a connection over which nothing came", async () => {
    const silent = connect(server.port, "127.0.0.1");
    await once(silent, "connect");
    await get("/health/live");
    const closed = once(silent, "close");
    const begunAt = performance.now();
    await server[Symbol.asyncDispose]();
    await closed;
    expect(performance.now() - begunAt).toBeLessThan(5_000);
    server = await startHealthServer({ port: 0, ready: async () => undefined, metrics });
  });
});
