import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { Redis } from "ioredis";
import { redisUrl, startRedis, type TestRedis } from "../src/redis.ts";

function connect(url: string): Redis {
  return new Redis(url, { commandTimeout: 300, maxRetriesPerRequest: 0, retryStrategy: null });
}

test("the shared Redis is one and the same for all who ask", async () => {
  const [first, second] = await Promise.all([redisUrl(), redisUrl()]);
  expect(second).toBe(first);
  const client = connect(first);
  expect(await client.ping()).toBe("PONG");
  client.disconnect();
});

describe("an own Redis", () => {
  let redis: TestRedis;
  beforeAll(async () => {
    redis = await startRedis({
      args: ["--maxmemory", "10mb", "--appendonly", "yes", "--appendfsync", "always"],
    });
  });
  afterAll(() => redis[Symbol.asyncDispose]());

  test("takes the options it was given", async () => {
    const client = connect(redis.url);
    expect(await client.config("GET", "maxmemory")).toEqual(["maxmemory", "10485760"]);
    client.disconnect();
  });

  test("does not answer while it is paused and answers after", async () => {
    const client = connect(redis.url);
    await client.set("seen", "before");
    await redis.pause();
    await expect(client.get("seen")).rejects.toThrow("timed out");
    await redis.resume();
    expect(await client.get("seen")).toBe("before");
    client.disconnect();
  });

  test("refuses connections while it is stopped and comes back on the same address with its data", async () => {
    await redis.stop();
    const refused = connect(redis.url);
    refused.on("error", () => undefined);
    await expect(refused.ping()).rejects.toThrow();
    await redis.start();
    const client = connect(redis.url);
    expect(await client.get("seen")).toBe("before");
    client.disconnect();
  });
});
