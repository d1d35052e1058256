import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { type FakeOpenAi, startFakeOpenAi } from "@mythic/testing/fake-openai";
import { startRedis, type TestRedis } from "@mythic/testing/redis";

const run = promisify(execFile);
const PACKAGE = join(import.meta.dirname, "..");
/** An expression that ends with its line, and what it says comes out. */
const CLAIM = /^(\S.*?); \/\/ → (.+)$/gm;

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

/** All blocks, one after the other, as one program. */
const blocks = readFileSync(join(PACKAGE, "README.md"), "utf8").matchAll(/^```ts\n(.*?)^```$/gms);
const program = Array.from(blocks, ([, code = ""]) => code)
  .join("\n")
  // A chain of calls is one expression.
  .replaceAll(/\n {2}\./g, ".");

/** Makes a program end with the first claim that is not what comes out. */
function checked(code: string): string {
  const assertions = code.replaceAll(
    CLAIM,
    (_line, expression, claim) =>
      `assert.deepEqual(${expression}, ${claim}, ${JSON.stringify(`${expression} is not ${claim}`)});`,
  );
  return `import assert from "node:assert/strict";\n${assertions}`;
}

/** Runs a program in the folder of the package, so that it imports it by its name. */
async function runProgram(code: string): Promise<void> {
  const { PATH = "" } = process.env;
  const running = run(process.execPath, ["--input-type=module-typescript", "-"], {
    cwd: PACKAGE,
    env: { PATH, REDIS_URL: redis.url, OPENAI_BASE_URL: fake.baseUrl },
    timeout: 20_000,
  });
  running.child.stdin?.end(checked(code));
  await running;
}

describe("README.md", () => {
  test("does what it says, line by line", async () => {
    await runProgram(program);
  });

  test("is found out where it says something else", async () => {
    await expect(runProgram(program.replace('// → "leader"', '// → "nobody"'))).rejects.toThrow(
      /is not "nobody"/,
    );
  });

  test("says what comes out in a way that is checked", () => {
    expect(program.match(CLAIM)?.length).toBeGreaterThan(25);
    expect(program.match(CLAIM)?.length).toBe(program.match(/\/\/ →/g)?.length);
  });
});
