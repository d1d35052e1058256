import { describe, expect, test } from "@jest/globals";
import { connectRedis, isRedisAddress, redisAddress } from "@mythic/shared/redis";
import { parseRedisAddress } from "../../src/redis/redis-target.ts";

describe("the address of Redis", () => {
  test("is null when nothing names one", () => {
    expect(redisAddress({})).toBeNull();
    expect(redisAddress({ port: 6380, password: "secret" })).toBeNull();
  });

  test("is the URL, which beats the host and its companions", () => {
    const url = "rediss://cache.example:6380/2";
    expect(redisAddress({ url, host: "other.example", port: 1, db: 1, password: "x" })).toBe(url);
  });

  test("is put together from host, port, database and password", () => {
    expect(redisAddress({ host: "redis.example" })).toBe("redis://redis.example:6379/0");
    expect(redisAddress({ host: "redis.example", port: 6380, db: 3 })).toBe("redis://redis.example:6380/3");
    expect(redisAddress({ host: "::1" })).toBe("redis://[::1]:6379/0");
  });

  test("keeps every character of a password", () => {
    const password = "p@ss/w:rd%41 #?ü";
    const address = redisAddress({ host: "redis.example", password });
    expect(decodeURIComponent(new URL(address ?? "").password)).toBe(password);
  });

  test("names the Sentinels of a primary, with its credentials and theirs", () => {
    expect(
      parseRedisAddress(
        "rediss+sentinel://app:p%40ss@one.example,two.example:26380,[::1]:1/my%20primary/3?replicas=true&sentinel_username=watch&sentinel_password=w%2Ford",
      ),
    ).toEqual({
      kind: "sentinel",
      hosts: [
        { host: "one.example", port: 26_379 },
        { host: "two.example", port: 26_380 },
        { host: "::1", port: 1 },
      ],
      credentials: { username: "app", password: "p@ss" },
      sentinelCredentials: { username: "watch", password: "w/ord" },
      name: "my primary",
      db: 3,
      tls: true,
      readsFromReplicas: true,
    });
    expect(parseRedisAddress("redis+sentinel://one.example/main")).toEqual({
      kind: "sentinel",
      hosts: [{ host: "one.example", port: 26_379 }],
      credentials: {},
      sentinelCredentials: {},
      name: "main",
      db: 0,
      tls: false,
      readsFromReplicas: false,
    });
  });

  test("names servers of a Cluster", () => {
    expect(parseRedisAddress("redis+cluster://:secret@one.example:7000,two.example")).toEqual({
      kind: "cluster",
      hosts: [
        { host: "one.example", port: 7_000 },
        { host: "two.example", port: 6_379 },
      ],
      credentials: { password: "secret" },
      tls: false,
      readsFromReplicas: false,
    });
    expect(parseRedisAddress("rediss+cluster://one.example/?replicas=true")).toMatchObject({
      tls: true,
      readsFromReplicas: true,
    });
  });

  test("that is none is refused without showing it", () => {
    const wrong = [
      "http://user:secret@host",
      "secret",
      "unix:///secret",
      "redis://user:secret@host?replicas=true",
      "redis+sentinel://user:secret@host",
      "redis+sentinel://user:secret@host/name/secret",
      "redis+sentinel://user:secret@host:port/name",
      "redis+cluster://user:secret@one,two/1",
      "redis+cluster://user:secret@one,,two",
      "redis+cluster://user:secret%@one",
      "redis+cluster://user:secret@one?replica=true",
      "redis+other://user:secret@one",
    ];
    for (const address of wrong) {
      expect(isRedisAddress(address)).toBe(false);
      expect(() => connectRedis(address, "cache")).toThrow(TypeError);
      expect(() => connectRedis(address, "cache")).not.toThrow(/secret/);
    }
  });
});
