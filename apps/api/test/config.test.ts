import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { developmentPasswords, readApiConfig } from "../src/config.ts";

describe("the API's settings", () => {
  test("nothing but a place for data is needed, and that has a default", () => {
    expect(readApiConfig({ MYTHIC_DATA_DIR: "data" })).toEqual({
      host: "127.0.0.1",
      port: 3_000,
      mongodbUrl: null,
      dataDir: "data",
      queueRedisUrl: null,
      cacheRedisUrl: null,
      model: null,
      boardWrite: false,
      maxBookBytes: 100_000_000,
      maxUserBytes: 5_000_000_000,
      cacheTtlSeconds: 3_600,
      sessionTtlSeconds: 86_400,
      logLevel: "info",
    });
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
