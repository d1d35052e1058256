import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { readWorkerConfig } from "../src/config.ts";

describe("the worker's settings", () => {
  test("need nothing: SQLite, no Redis, no model", () => {
    expect(readWorkerConfig({})).toMatchObject({
      mongodbUrl: null,
      queueRedisUrl: null,
      answers: { model: null, upstreams: null },
      concurrency: 8,
    });
  });

  test("name all problems at once and show no value", () => {
    const wrong = {
      MONGODB_URL: "http://secret",
      WORKER_CONCURRENCY: "many-secrets",
      WORKER_PORT: "99999999",
    };
    expect(() => readWorkerConfig(wrong)).toThrow(
      expect.objectContaining({
        name: "SettingsError",
        message: expect.stringMatching(/MONGODB_URL.*WORKER_CONCURRENCY.*WORKER_PORT/s),
      }),
    );
    expect(() => readWorkerConfig(wrong)).not.toThrow(/secret/);
  });

  test("take a secret from a file", async () => {
    const directory = await mkdtemp(join(tmpdir(), "mythic-settings-"));
    const file = join(directory, "key");
    await writeFile(file, "sk-from-file\n");
    const { answers } = readWorkerConfig({ MYTHIC_MODEL: "m", OPENAI_API_KEY_FILE: file });
    expect(answers.upstreams?.of("m")?.revealKey()).toBe("sk-from-file");
    await rm(directory, { recursive: true });
  });

  test("refuse a secret that is given twice, or in a file that cannot be read", () => {
    const twice = { OPENAI_API_KEY: "sk", OPENAI_API_KEY_FILE: "/nowhere" };
    expect(() => readWorkerConfig(twice)).toThrow(/OPENAI_API_KEY: give it or OPENAI_API_KEY_FILE/);
    expect(() => readWorkerConfig({ REDIS_PASSWORD_FILE: "/nowhere" })).toThrow(/REDIS_PASSWORD_FILE/);
  });

  test("count a model as configured with a name and a key or a base URL", () => {
    expect(readWorkerConfig({ MYTHIC_MODEL: "m" }).answers.model).toBeNull();
    expect(readWorkerConfig({ OPENAI_API_KEY: "sk" }).answers.model).toBeNull();
    expect(readWorkerConfig({ MYTHIC_MODEL: "m", OPENAI_API_KEY: "sk" }).answers.model).toBe("m");
    const local = { MYTHIC_MODEL: "m", OPENAI_BASE_URL: "http://localhost:1/v1" };
    expect(readWorkerConfig(local).answers.model).toBe("m");
  });

  test("let a role's own URL beat the common one, and a URL beat the host", () => {
    const common = { REDIS_URL: "redis://common", REDIS_HOST: "host" };
    expect(readWorkerConfig(common).queueRedisUrl).toBe("redis://common");
    expect(readWorkerConfig({ ...common, QUEUE_REDIS_URL: "redis://queue" }).queueRedisUrl).toBe(
      "redis://queue",
    );
    const host = { REDIS_HOST: "host", REDIS_PORT: "7", REDIS_DB: "2", REDIS_PASSWORD: "p%w" };
    expect(readWorkerConfig(host).queueRedisUrl).toBe("redis://:p%25w@host:7/2");
  });

  test("take the addresses of Sentinels and of a Cluster, for each role its own", () => {
    const config = readWorkerConfig({
      QUEUE_REDIS_URL: "redis+sentinel://:p@one:26379,two:26379/main",
      CACHE_REDIS_URL: "rediss+cluster://one:6379,two:6379?replicas=true",
    });
    expect(config.queueRedisUrl).toBe("redis+sentinel://:p@one:26379,two:26379/main");
    expect(config.cache.redisUrl).toBe("rediss+cluster://one:6379,two:6379?replicas=true");
  });

  test("refuse what is no address of a Redis, without showing it", () => {
    const problems = () => readWorkerConfig({ REDIS_URL: "redis+sentinel://:secret@one,two" });
    expect(problems).toThrow(/REDIS_URL: must be a URL that begins with redis:/);
    expect(problems).not.toThrow(/secret/);
  });

  test("take an empty variable for an absent one", () => {
    expect(readWorkerConfig({ REDIS_URL: "", WORKER_CONCURRENCY: "" })).toMatchObject({
      queueRedisUrl: null,
      concurrency: 8,
    });
  });
});
