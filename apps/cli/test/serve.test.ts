import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "@jest/globals";
import { freePort } from "@mythic/testing/free-port";
import { mythic, startMythic } from "./mythic.ts";
import { sampleText } from "./sample-text.ts";

test("serve runs API and worker in one process until it is told to stop", async () => {
  const folder = await mkdtemp(join(tmpdir(), "mythic-serve-"));
  const port = await freePort();
  const env = { MYTHIC_DATA_DIR: join(folder, "data"), PORT: String(port) };
  const server = startMythic(["serve"], { env });
  try {
    const url = `http://127.0.0.1:${port}`;
    await server.says(new RegExp(url));
    const file = join(folder, "Mara.txt");
    await writeFile(file, sampleText("Mara", 2));
    const { code, stdout } = await mythic(["process", file, "--server", url], { cwd: folder });
    expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringContaining("key-passages.md") });
    expect((await fetch(`${url}/health/ready`)).status).toBe(200);
  } finally {
    server.signal("SIGTERM");
    expect(await server.ended()).toBe(0);
    await rm(folder, { recursive: true, force: true });
  }
});
