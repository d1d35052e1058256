import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { freePort } from "../src/free-port.ts";
import { startProcess } from "../src/process.ts";
import { waitFor } from "../src/wait.ts";

let folder: string;
let main: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "mythic-process-"));
  main = join(folder, "main.mjs");
  await writeFile(
    main,
    `import { createServer } from "node:http";
    console.log("started", process.argv[2], Object.keys(process.env).sort().join());
    console.error("a complaint");
    process.on("SIGTERM", () => { console.log("going"); process.exitCode = 7; server.close(); server.closeAllConnections(); });
    const server = createServer((_, response) => response.end("here")).listen(Number(process.env.PORT), "127.0.0.1");
    if (process.argv[2] === "fail") throw new Error("broken");`,
  );
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test("a process is there when its URL answers, sees only the environment it was given, and its lines are kept", async () => {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}/`;
  await using child = await startProcess(main, {
    args: ["well"],
    env: { PORT: String(port) },
    ready: { url },
  });
  expect(await (await fetch(url)).text()).toBe("here");
  expect((await child.line(/^started (\w+) (.*)$/)).slice(1)).toEqual(["well", "HOME,PATH,PORT"]);
  await child.line(/complaint/);
  expect(child.lines).toHaveLength(2);
});

test("a signal reaches the process, and its exit code comes back", async () => {
  await using child = await startProcess(main, { env: { PORT: "0" }, ready: /^started/ });
  await child.line(/complaint/);
  child.signal("SIGTERM");
  expect(await child.ended()).toBe(7);
  await child.line(/^going$/);
});

test("a process that ends before it is ready is reported with its output", async () => {
  const starting = startProcess(main, { args: ["fail"], env: { PORT: "0" }, ready: /^never$/ });
  await expect(starting).rejects.toThrow(/did not start.*Error: broken/s);
});

test("a process is gone once it is disposed of, even a stopped one", async () => {
  const child = await startProcess(main, { env: { PORT: "0" }, ready: /^started/ });
  child.signal("SIGSTOP");
  await child[Symbol.asyncDispose]();
  await waitFor(() => isGone(child.id));
});

function isGone(id: number): boolean {
  try {
    process.kill(id, 0);
    return false;
  } catch {
    return true;
  }
}
