import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { type FakeOpenAi, startFakeOpenAi } from "@mythic/testing/fake-openai";
import { CLAIM, readProgram, runProgram } from "@mythic/testing/readme";
import { startRedis, type TestRedis } from "@mythic/testing/redis";

const PACKAGE = join(import.meta.dirname, "..");

let redis: TestRedis;
let fake: FakeOpenAi;
beforeAll(async () => {
  redis = await startRedis();
  fake = await startFakeOpenAi({ latencyMs: 100 });
  // What is asked for a shape gets another one.
  fake.script({ match: "Answer with JSON.", does: { kind: "invalid_schema" } });
});
beforeEach(() => redis.wipe());
afterAll(async () => {
  await redis[Symbol.asyncDispose]();
  await fake.close();
});

const program = readProgram(PACKAGE);
const run = (code: string) =>
  runProgram(code, { folder: PACKAGE, env: { REDIS_URL: redis.url, OPENAI_BASE_URL: fake.baseUrl } });

describe("README.md", () => {
  test("does what it says, line by line", async () => {
    await run(program);
  });

  test("is found out where it says something else", async () => {
    await expect(run(program.replace('// → "leader"', '// → "nobody"'))).rejects.toThrow(/is not "nobody"/);
  });

  test("says what comes out in a way that is checked", () => {
    expect(program.match(CLAIM)?.length).toBeGreaterThan(25);
    expect(program.match(CLAIM)?.length).toBe(program.match(/\/\/ →/g)?.length);
  });
});
