import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { announceChanges, openCaching } from "@mythic/runs/cache";
import { openStore } from "@mythic/runs/store";
import { freePort } from "@mythic/testing/free-port";
import { freshDatabase, mongoUrl } from "@mythic/testing/mongo";
import { startProcess, type TestProcess } from "@mythic/testing/process";
import { PATIENT_MS, startRedis, type TestRedis } from "@mythic/testing/redis";
import { waitFor } from "@mythic/testing/wait";
import { makeApiKey } from "../src/api-key.ts";

const MAIN = join(import.meta.dirname, "../src/main.ts");
/** Far below every TTL: what is seen within it was told. */
const TOLD_MS = 10_000;

interface Api {
  readonly url: string;
  readonly process: TestProcess;
}

const dataDir = await mkdtemp(join(tmpdir(), "mythic-processes-"));
const mongo = await mongoUrl();
const STORES = [
  { name: "SQLite", place: { dataDir, mongodbUrl: null } },
  ...(mongo === null ? [] : [{ name: "MongoDB", place: { dataDir, mongodbUrl: freshDatabase(mongo) } }]),
];
const SILENT = { debug: () => undefined, info: () => undefined, warn: () => undefined };
afterAll(() => rm(dataDir, { recursive: true }));

describe.each(STORES)("two API processes on one Redis and $name", ({ place }) => {
  const stack = new AsyncDisposableStack();
  let redis: TestRedis;
  let one: Api;
  let other: Api;
  let headers: Readonly<Record<string, string>>;
  let keyId: string;

  beforeAll(async () => {
    redis = stack.use(await startRedis());
    await using store = await openStore(place);
    const { key, id, sha256, lastFour } = makeApiKey();
    const dates = { createdAt: new Date(), revokedAt: null };
    await store.keys.create({ id, user: "ada", role: "admin", sha256, lastFour, ...dates });
    headers = { authorization: `Bearer ${key}` };
    keyId = id;
    const start = async (): Promise<Api> => {
      const port = await freePort();
      const url = `http://127.0.0.1:${port}`;
      const { mongodbUrl } = place;
      const where = mongodbUrl === null ? { MYTHIC_DATA_DIR: dataDir } : { MONGODB_URL: mongodbUrl };
      const env = {
        ...where,
        PORT: String(port),
        REDIS_URL: redis.url,
        REDIS_TIMEOUT_MS: String(PATIENT_MS),
      };
      const process = await startProcess(MAIN, { env, ready: { url: `${url}/health/ready` } });
      return { url, process: stack.use(process) };
    };
    [one, other] = await Promise.all([start(), start()]);
    for (const api of [one, other]) {
      await waitFor(async () => (await ask(api, "/health/redis")).body["status"] === "ok");
    }
  }, 60_000);
  afterAll(() => stack.disposeAsync());

  async function ask(api: Api, path: string, init: RequestInit = {}) {
    const response = await fetch(`${api.url}${path}`, { headers, ...init });
    const text = await response.text();
    const body = (text === "" ? {} : JSON.parse(text)) as Record<string, unknown>;
    return { status: response.status, body, cache: response.headers.get("cache-status") };
  }

  const upload = async (api: Api, text: string) => {
    const type = { ...headers, "content-type": "application/octet-stream" };
    const { body } = await ask(api, "/books", { method: "POST", headers: type, body: text });
    return String(body["id"]);
  };

  const listed = async (api: Api) => {
    const { data } = (await ask(api, "/books/my")).body as { data: readonly { readonly id: string }[] };
    return data.map(({ id }) => id);
  };

  /** Asks again and again what was cached a moment ago. */
  const until = (isTold: () => Promise<boolean>) =>
    waitFor(isTold, { timeoutMs: TOLD_MS, everyMs: 1, what: "the change to be told" });

  test("what one does to a run, the other's next poll shows", async () => {
    const book = await upload(one, "CHAPTER I\n\nThe sea was calm, and nobody rang the bell.\n");
    const json = { ...headers, "content-type": "application/json" };
    const body = JSON.stringify({ book_id: book });
    const id = String((await ask(one, "/runs", { method: "POST", headers: json, body })).body["id"]);
    const status = async () => (await ask(other, `/status/${id}`)).body["status"];
    expect(await status()).toBe("queued");
    await until(async () => (await ask(other, `/status/${id}`)).cache === "mythic; hit; detail=memory");
    await ask(one, `/runs/${id}/cancel`, { method: "POST" });
    await until(async () => (await status()) === "cancelled");
  });

  test("whoever waits at one of them hears of it", async () => {
    const [book = ""] = await listed(one);
    const json = { ...headers, "content-type": "application/json" };
    const body = JSON.stringify({ book_id: book });
    const { body: run } = await ask(one, "/runs", { method: "POST", headers: json, body });
    const id = String(run["id"]);
    const begun = performance.now();
    const waited = ask(other, `/status/${id}`, {
      headers: { ...headers, prefer: "wait=20", "if-none-match": `W/"${Number(run["revision"])}"` },
    });
    await ask(one, `/runs/${id}/cancel`, { method: "POST" });
    expect((await waited).body["status"]).toMatch(/^cancell(?:ing|ed)$/);
    expect(performance.now() - begun).toBeLessThan(TOLD_MS);
  });

  test("what is uploaded or deleted at one is in the other's list, or gone from it", async () => {
    const before = await listed(other);
    const book = await upload(one, "CHAPTER I\n\nFog came in, and the keeper lit the lamp.\n");
    await until(async () => (await listed(other)).includes(book));
    await ask(one, `/books/${book}`, { method: "DELETE" });
    await until(async () => !(await listed(other)).includes(book));
    expect(await listed(other)).toEqual(before);
  });

  test("both count as one for those who watch", async () => {
    // Each tells of itself every few seconds, and when it is asked.
    await ask(other, "/cache/stats");
    expect((await ask(one, "/cache/stats")).body).toMatchObject({ is_on: true, processes: 2 });
  });

  test("a key that was revoked lets nobody in any more, at neither of them", async () => {
    expect((await ask(other, "/books/my")).status).toBe(200);
    // As `mythic key revoke` does it, in a process that is gone before anyone asks.
    {
      await using opened = await openStore(place);
      const config = {
        isOn: true,
        redisUrl: redis.url,
        namespace: null,
        timeoutMs: PATIENT_MS,
        logLevel: "debug",
      } as const;
      await using caching = await openCaching({
        config: { ...config, answersTtlMs: 3_600_000 },
        store: place,
        log: SILENT,
        reads: false,
      });
      expect(await caching.cache?.ready(5_000)).toBe(true);
      await announceChanges(opened, caching.cache).keys.revoke(keyId);
    }
    for (const api of [one, other]) {
      await until(async () => (await ask(api, "/books/my")).status === 401);
    }
  });
});
