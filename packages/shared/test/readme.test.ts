import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { CLAIM, readProgram, runProgram } from "@mythic/testing/readme";
import { startRedis, type TestRedis } from "@mythic/testing/redis";

const PACKAGE = join(import.meta.dirname, "..");

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
beforeEach(() => redis.wipe());
afterAll(() => redis[Symbol.asyncDispose]());

const program = readProgram(PACKAGE);
const run = (code: string) => runProgram(code, { folder: PACKAGE, env: { REDIS_URL: redis.url } });

describe("README.md", () => {
  test("does what it says, line by line", async () => {
    await run(program);
  });

  test("is found out where it says something else", async () => {
    await expect(run(program.replace('// → "PONG"', '// → "PING"'))).rejects.toThrow(/is not "PING"/);
  });

  test("says of nearly every line what comes out, and of nothing else", () => {
    expect(program.match(CLAIM)?.length).toBeGreaterThan(50);
    expect(program.match(CLAIM)?.length).toBe(program.match(/\/\/ →/g)?.length);
  });

  test.each(["cache", "rate-limit", "redis"])("shows the entry point ./%s", (name) => {
    expect(program).toContain(`from "@mythic/shared/${name}"`);
  });
});
