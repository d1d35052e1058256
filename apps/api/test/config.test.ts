import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { developmentPasswords, readApiConfig } from "../src/config.ts";
import { NO_POLICIES, POLICIES } from "../src/policies.ts";

describe("the API's settings", () => {
  test("nothing but a place for data is needed, and that has a default", () => {
    expect(readApiConfig({ MYTHIC_DATA_DIR: "data" })).toEqual({
      host: "127.0.0.1",
      port: 3_000,
      mongodbUrl: null,
      dataDir: "data",
      queueRedisUrl: null,
      cache: {
        ...{ isOn: true, redisUrl: null, namespace: null, timeoutMs: 200 },
        ...{ logLevel: "debug", answersTtlMs: 3_600_000 },
      },
      answers: {
        model: null,
        upstreams: null,
        secret: null,
        encryptionKeys: [],
        reuseMs: 30 * 24 * 3_600_000,
        userLimits: { tokensPerDay: null, costPerDay: null },
        sharedBooks: new Set(),
      },
      boardWrite: false,
      maxBookBytes: 100_000_000,
      maxUserBytes: 5_000_000_000,
      policies: POLICIES,
      instances: 1,
      slowRequestMs: 1_000,
      sessionTtlSeconds: 86_400,
      logLevel: "info",
    });
  });

  test("limits can be changed one by one, or switched off", () => {
    const { policies } = readApiConfig({ RATE_LIMITS: '{"reads":"2400/min","uploads":"off","runs":"7/d"}' });
    expect(policies).toEqual({
      ...POLICIES,
      reads: { limit: 2_400, periodMs: 60_000 },
      uploads: null,
      runs: { limit: 7, periodMs: 86_400_000 },
    });
    expect(readApiConfig({ RATE_LIMITS: "off" }).policies).toEqual(NO_POLICIES);
  });

  test.each([
    ["on"],
    ["{"],
    ['{"reads":1200}'],
    ['{"reads":"0/min"}'],
    ['{"reads":"5/fortnight"}'],
    ['{"writing":"5/min"}'],
  ])("limits such as %s are refused", (text) => {
    expect(() => readApiConfig({ RATE_LIMITS: text })).toThrow(/RATE_LIMITS: must be "off" or JSON/);
  });

  test("limits hold without the cache", () => {
    const { cache, policies } = readApiConfig({ MYTHIC_CACHE: "off" });
    expect(cache.isOn).toBe(false);
    expect(policies).toEqual(POLICIES);
  });

  test("all problems are named at once, without their values", () => {
    const environment = {
      PORT: "SECRET",
      MYTHIC_BOARD_WRITE: "SECRET",
      QUEUE_REDIS_URL: "SECRET",
      MAX_BOOK_BYTES: "-1",
    };
    let message = "";
    try {
      readApiConfig(environment);
    } catch (error) {
      message = String(error);
    }
    for (const name of Object.keys(environment)) expect(message).toContain(name);
    expect(message).not.toContain("SECRET");
  });

  test("a secret can come from a file", async () => {
    const directory = await mkdtemp(join(tmpdir(), "mythic-config-"));
    const file = join(directory, "redis-url");
    await writeFile(file, "redis://:secret@queue:6379\n");
    expect(readApiConfig({ QUEUE_REDIS_URL_FILE: file }).queueRedisUrl).toBe("redis://:secret@queue:6379");
    await rm(directory, { recursive: true });
  });

  test("passwords of development are noticed", () => {
    const config = readApiConfig({
      MONGODB_URL: "mongodb://mythic:mythic-development@mongo:27017/mythic",
      QUEUE_REDIS_URL: "redis://:mythic-development@queue:6379",
      CACHE_REDIS_URL: "redis://:another@cache:6379",
    });
    expect(developmentPasswords(config)).toEqual(["store", "queue"]);
  });
});
