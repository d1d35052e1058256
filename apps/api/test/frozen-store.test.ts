import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "@jest/globals";
import { post, problemOf, startTestApi, type TestApi, textBook, upload, uploadedBook } from "./test-api.ts";

/** Another process takes the store's lock and does not let go. */
async function freeze(api: TestApi): Promise<ChildProcess> {
  const holder = spawn(process.execPath, [
    fileURLToPath(new URL("./hold-store.ts", import.meta.url)),
    join(api.directory, "mythic.db"),
  ]);
  await once(holder.stdout, "data");
  return holder;
}

async function thaw(holder: ChildProcess): Promise<void> {
  const ended = once(holder, "exit");
  holder.stdin?.end();
  await ended;
}

describe("a store that does not answer", () => {
  test("is reported within seconds, and everything goes on once it is back", async () => {
    await using api = await startTestApi();
    const { id } = await uploadedBook(api);
    const holder = await freeze(api);
    const begun = performance.now();
    const asked = await Promise.all([
      post(api, "/runs", { book_id: id }, { "idempotency-key": "k" }),
      upload(api, textBook(2)),
      fetch(`${api.url}/books/${id}`, { method: "DELETE" }),
    ]);
    expect(performance.now() - begun).toBeLessThan(8_000);
    for (const response of asked) {
      expect(response.status).toBe(503);
      expect(response.headers.get("retry-after")).toBe("2");
      expect((await problemOf(response)).code).toBe("store_unavailable");
    }
    expect((await fetch(`${api.url}/health/live`)).status).toBe(200);
    await thaw(holder);
    expect((await upload(api, textBook(2))).status).toBe(201);
    expect((await fetch(`${api.url}/books/my`)).status).toBe(200);
  });
});
