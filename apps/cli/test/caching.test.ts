import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { freePort } from "@mythic/testing/free-port";
import { startProcess } from "@mythic/testing/process";
import { PATIENT_MS, redisUrl } from "@mythic/testing/redis";
import { waitFor } from "@mythic/testing/wait";
import { runSchema } from "../src/wire.ts";
import { COMPILED, mythic, startMythic } from "./mythic.ts";
import { sampleText } from "./sample-text.ts";

const API = join(import.meta.dirname, "../../api/src/main.ts");
/** Far below every TTL: what is seen within it was told. */
const TOLD_MS = 10_000;

let stack: AsyncDisposableStack;
let env: Readonly<Record<string, string>>;
let url: string;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "mythic-caching-"));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const port = await freePort();
  url = `http://127.0.0.1:${port}`;
  // The queue stays in the process, as everyone's on this Redis has the same name.
  env = {
    ...{ MYTHIC_DATA_DIR: join(folder, "data"), PORT: String(port) },
    ...{ CACHE_REDIS_URL: await redisUrl(), REDIS_TIMEOUT_MS: String(PATIENT_MS) },
  };
});

afterEach(() => stack.disposeAsync());

async function startServe(): Promise<void> {
  const server = startMythic(["serve"], { env });
  stack.defer(async () => {
    server.signal("SIGTERM");
    await server.ended();
  });
  await server.says(new RegExp(url));
}

/** What is looked at of the answers to all kinds of requests. */
interface Body {
  readonly status: string;
  readonly data: readonly unknown[];
  readonly roles: { readonly cache: { readonly tracking: string } };
  readonly is_on: boolean;
  readonly families: { readonly "book-list": { readonly hits: { readonly l1: number } } };
}

async function get(path: string, headers: Readonly<Record<string, string>> = {}) {
  const response = await fetch(`${url}${path}`, { headers });
  const body = (await response.json()) as Body;
  return { status: response.status, cache: response.headers.get("cache-status"), body };
}

/** Asks until the server's own memory answers. */
async function cached(path: string) {
  return await waitFor(
    async () => {
      const answer = await get(path);
      return answer.cache === "mythic; hit; detail=memory" && answer;
    },
    { what: `${path} to be cached` },
  );
}

/** Without a worker nobody but the command line changes the run. */
async function startRun(): Promise<string> {
  stack.use(await startProcess(API, { env: { ...COMPILED, ...env }, ready: { url: `${url}/health/ready` } }));
  const form = new FormData();
  form.set("file", new Blob([sampleText("Mara", 2)]), "Mara.txt");
  const started = await fetch(`${url}/runs`, { method: "POST", body: form });
  return runSchema.parse(await started.json()).id;
}

async function isCancelled(id: string): Promise<boolean> {
  return (await get(`/status/${id}`)).body.status === "cancelled";
}

describe("a server and the command line on one store and one Redis", () => {
  test("serve caches in Redis, is told of changes there, and shows both", async () => {
    await startServe();
    await waitFor(async () => {
      const { body } = await get("/health/redis");
      return body.status === "ok" && body.roles.cache.tracking === "tracking";
    });
    expect((await get("/books/my")).cache).toBe("mythic; fwd=miss");
    expect((await cached("/books/my")).body.data).toEqual([]);
    const stats = await waitFor(async () => {
      const { body } = await get("/cache/stats");
      return body.families["book-list"].hits.l1 > 0 && body;
    });
    expect(stats).toMatchObject({
      is_on: true,
      families: { "book-list": { loads: 1, saves: { redis: 1 } } },
    });
  });

  test("a key that is revoked on the command line lets nobody in any more", async () => {
    const created = await mythic(["key", "create", "--user", "ada"], { env });
    const id = /^key_\S+/.exec(created.stderr)?.[0] ?? "";
    await startServe();
    const asAda = async () =>
      (await get("/books/my", { authorization: `Bearer ${created.stdout.trim()}` })).status;
    expect([await asAda(), await asAda()]).toEqual([200, 200]);

    expect((await mythic(["key", "revoke", id], { env })).code).toBe(0);
    await waitFor(async () => (await asAda()) === 401, { timeoutMs: TOLD_MS, what: "the key to be refused" });
  });

  test("a run that is cancelled on the command line is shown so by the next poll", async () => {
    const id = await startRun();
    expect((await cached(`/status/${id}`)).body.status).toBe("queued");
    expect((await mythic(["cancel", id], { env })).code).toBe(0);
    await waitFor(() => isCancelled(id), { timeoutMs: TOLD_MS, what: "the poll to show it" });
  });

  test("without Redis a change by another process is seen within seconds", async () => {
    env = { ...env, CACHE_REDIS_URL: "" };
    const id = await startRun();
    expect((await cached(`/status/${id}`)).body.status).toBe("queued");
    expect((await mythic(["cancel", id], { env })).code).toBe(0);
    await waitFor(() => isCancelled(id), { timeoutMs: TOLD_MS, what: "the poll to show it" });
  });
});
