import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { makeApiKey } from "@mythic/api/api-key";
import { closeRedis, connectRedis, primariesOf, waitForRedis } from "@mythic/shared/redis";
import { startRedis, type TestRedis } from "@mythic/testing/redis";
import { waitFor } from "@mythic/testing/wait";
import { ENDED, type System, startSystem } from "./system/system.ts";

const PAGE = readFileSync(join(import.meta.dirname, "../../../docs/caching.md"), "utf8");
const LINES = (/^```acl\n(.*?)^```$/ms.exec(PAGE)?.[1] ?? "").trim().split("\n");

type Server = ReturnType<typeof primariesOf>[number];

describe("Redis with the users of docs/caching.md", () => {
  const stack = new AsyncDisposableStack();
  let redis: TestRedis;
  let operator: Server;
  let system: System;

  const connect = async (url: string): Promise<Server> => {
    const connection = stack.adopt(connectRedis(url, "queue-producer"), closeRedis);
    await waitForRedis(connection, 5_000);
    const [server] = primariesOf(connection);
    if (server === undefined) throw new Error("There is no server.");
    return server;
  };
  const as = (user: string) => connect(urlOf(user));
  const urlOf = (user: string) => redis.url.replace("redis://", `redis://mythic-${user}:${user}-password@`);

  beforeAll(async () => {
    redis = stack.use(await startRedis());
    const owner = await connect(redis.url);
    for (const line of LINES) {
      const [command = "", ...words] = line.split(" ");
      await owner.call(command, ...words);
    }
    operator = await as("operator");
    const env = { QUEUE_REDIS_URL: urlOf("queue"), CACHE_REDIS_URL: urlOf("cache") };
    system = stack.use(await startSystem({ mongodbUrl: null, redisUrl: null, workers: 1, env }));
  });
  afterAll(() => stack.disposeAsync());

  const get = async (path: string, init?: RequestInit) => {
    const response = await system.request(path, init);
    const text = await response.text();
    if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`);
    return text;
  };

  test("a book goes through a system with these users, and nothing is refused", async () => {
    expect(LINES).toHaveLength(4);
    await waitFor(async () => {
      const { status, roles } = JSON.parse(await get("/health/redis"));
      return status === "ok" && roles.cache.tracking === "tracking" && roles.queue.state === "ok";
    });
    const { id, book_id } = await system.submit();
    expect((await system.until(id, ENDED)).status).toBe("succeeded");
    for (const path of [`/status/${id}`, "/books/my", `/books/${book_id}`, `/runs/${id}/result`])
      await get(path);
    for (const path of ["/cache/stats", "/metrics", "/admin/queues/api/queues"]) await get(path);
    const [key = ""] = (await keys()).filter((name) => name.includes(":v:run-status"));
    await get(`/cache/keys/${encodeURIComponent(key)}`);
    for (const what of ["pattern=book:*", "family=result", "tag=user:local:books", "all=true"]) {
      await get(`/cache?${what}`, { method: "DELETE" });
    }
    await get(`/books/${book_id}`, { method: "DELETE" });
    expect(await operator.call("ACL", "LOG")).toEqual([]);
  });

  test("every key but those of the queue has a time to live", async () => {
    // With a key, as nobody is limited without one.
    const { key, id, sha256, lastFour } = makeApiKey();
    const created = { createdAt: new Date(), revokedAt: null };
    await system.store.keys.create({ id, user: "ada", role: "user", sha256, lastFour, ...created });
    await get("/books/my", { headers: { authorization: `Bearer ${key}` } });
    const others = (await keys()).filter((key) => !/^\{mythic\}:(mythic-steps:|epoch$)/.test(key));
    for (const kind of [":v:book-list.", ":t:user:ada:books", ":r:{ada}:reads", ":stats"]) {
      expect(others).toContainEqual(expect.stringContaining(kind));
    }
    for (const key of others) expect([key, await operator.ttl(key)]).not.toEqual([key, -1]);
    expect(await operator.call("ACL", "LOG")).toEqual([]);
  });

  test("the cache cannot reach the queue, nor the queue the cache, nor anybody configure", async () => {
    const [cache, queue] = [await as("cache"), await as("queue")];
    await expect(cache.get("{mythic}:epoch")).rejects.toThrow(/NOPERM/);
    await expect(queue.get("mythic:c:{u.ada}:v:book.1:b")).rejects.toThrow(/NOPERM/);
    for (const client of [cache, queue]) await expect(client.flushall()).rejects.toThrow(/NOPERM/);
    await expect(operator.get("{mythic}:epoch")).rejects.toThrow(/NOPERM/);
  });

  test.each([
    "SLOWLOG GET 10",
    "LATENCY LATEST",
    "LATENCY DOCTOR",
    "MEMORY USAGE {mythic}:epoch",
    "INFO stats",
    "CLIENT LIST",
    "ACL LOG",
  ])("the operator may ask %s, as the page advises", async (line) => {
    expect(PAGE).toContain(line.replace("{mythic}:epoch", "<key>"));
    const [command = "", ...words] = line.split(" ");
    expect(await operator.call(command, ...words)).not.toBeNull();
  });

  async function keys(): Promise<readonly string[]> {
    const found: string[] = [];
    for await (const names of operator.scanStream()) found.push(...names);
    return found;
  }
});
