import { describe, expect, test } from "@jest/globals";
import { connectRedis, redisAddress } from "@mythic/shared/redis";

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

  test("that is no Redis URL is refused without showing it", () => {
    for (const address of ["http://user:secret@host", "secret", "unix:///secret"]) {
      expect(() => connectRedis(address, "cache")).toThrow(TypeError);
      expect(() => connectRedis(address, "cache")).not.toThrow(/secret/);
    }
  });
});
