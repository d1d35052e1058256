import { expect, test } from "@jest/globals";
import { readInfo } from "../src/redis/check-redis.ts";

const info = (version: string) =>
  `# Server\r\nredis_version:${version}\r\n# Memory\r\nused_memory:1024\r\nused_memory_human:1K\r\nmaxmemory:0\r\nmaxmemory_policy:allkeys-lfu\r\n`;

test("the reply of INFO is read", () => {
  expect(readInfo(info("7.0.15"), 1.2345)).toEqual({
    reachable: true,
    latencyMs: 1.23,
    version: "7.0.15",
    usedMemory: 1_024,
    maxMemory: null,
    policy: "allkeys-lfu",
    lastError: null,
  });
});

test("a Redis older than 7.0 is named as such, and newer ones are not", () => {
  for (const version of ["5.0.14", "6.2.20"]) {
    expect(readInfo(info(version), 1).lastError).toBe(`Redis ${version} is too old: 7.0 or newer is needed.`);
  }
  for (const version of ["7.0", "7.0.0", "7.4.1", "8.2.0", "10.0.0"]) {
    expect(readInfo(info(version), 1).lastError).toBeNull();
  }
});
