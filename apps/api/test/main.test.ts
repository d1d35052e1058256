import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { freePort } from "@mythic/testing/free-port";
import { startProcess } from "@mythic/testing/process";

const MAIN = join(import.meta.dirname, "../src/main.ts");

describe("the API as a process", () => {
  test("it starts on its store alone and ends by itself when it is asked to", async () => {
    const directory = await mkdtemp(join(tmpdir(), "mythic-main-"));
    const port = await freePort();
    const env = { PORT: String(port), MYTHIC_DATA_DIR: directory };
    const url = `http://127.0.0.1:${port}`;
    {
      await using api = await startProcess(MAIN, { env, ready: { url: `${url}/health/ready` } });
      expect(await (await fetch(`${url}/books/my`)).json()).toMatchObject({ data: [] });
      api.signal("SIGTERM");
      expect(await api.ended()).toBe(0);
    }
    await rm(directory, { recursive: true });
  });

  test("it names everything that is wrong with its settings and does not start", async () => {
    const env = { PORT: "SECRET", REDIS_URL: "SECRET" };
    await using api = await startProcess(MAIN, { env, ready: /cannot start/ });
    expect(await api.ended()).toBe(1);
    expect(api.lines.join("\n")).toMatch(/PORT.*\n.*REDIS_URL|REDIS_URL.*\n.*PORT/);
    expect(api.lines.join("\n")).not.toContain("SECRET");
  });
});
