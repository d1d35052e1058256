import { expect, test } from "@jest/globals";
import { compareVersions, joinInfos, readInfo } from "../../src/redis/server-info.ts";

const info = (version: string, used: number, more = "") =>
  [
    `# Server\r\nredis_version:${version}`,
    `# Clients\r\nconnected_clients:3\r\nmaxclients:10000`,
    `# Memory\r\nused_memory:${used}\r\nused_memory_human:1K\r\nmaxmemory:0\r\nmaxmemory_policy:allkeys-lfu`,
    `# Stats\r\nkeyspace_hits:12\r\nkeyspace_misses:5\r\nevicted_keys:7`,
    more,
    "",
  ].join("\r\n");

test("the reply of INFO is read", () => {
  expect(readInfo(info("7.0.15", 1_024))).toEqual({
    version: "7.0.15",
    usedMemory: 1_024,
    maxMemory: null,
    policy: "allkeys-lfu",
    evictedKeys: 7,
    keyspaceHits: 12,
    keyspaceMisses: 5,
    connectedClients: 3,
  });
});

test("what a server does not say is not known", () => {
  expect(readInfo("# Server\r\n")).toMatchObject({ version: null, usedMemory: null, evictedKeys: null });
});

test("servers of a Cluster are summed up, with the oldest version and every policy", () => {
  const one = readInfo(info("7.0.15", 1_000).replace("maxmemory:0", "maxmemory:5000"));
  const other = readInfo(
    info("10.2.0", 500).replace("maxmemory:0", "maxmemory:6000").replace("allkeys-lfu", "noeviction"),
  );
  expect(joinInfos([other, one])).toEqual({
    version: "7.0.15",
    usedMemory: 1_500,
    maxMemory: 11_000,
    policy: "noeviction, allkeys-lfu",
    evictedKeys: 14,
    keyspaceHits: 24,
    keyspaceMisses: 10,
    connectedClients: 6,
  });
  expect(joinInfos([one, readInfo(info("7.0.15", 1))]).maxMemory).toBeNull();
  expect(joinInfos([one])).toEqual(one);
});

test("versions are ordered by number", () => {
  expect(["10.0.0", "7.0.15", "7.4.1", "7.0", "5.0.14"].sort(compareVersions)).toEqual([
    "5.0.14",
    "7.0",
    "7.0.15",
    "7.4.1",
    "10.0.0",
  ]);
});
