import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { waitFor } from "@mythic/testing/wait";
import { type Containers, type Line, prepareContainers } from "./containers.ts";
import { readmeLines } from "./readme-lines.ts";

const MINUTE = 60_000;
const OURS = ["api", "worker"];
const DATABASES = ["mongo", "queue-redis", "cache-redis"];
/** What node_modules of the worker's image may take, in megabytes. */
const WORKER_MODULES_MB = 100;

let containers: Containers;
let lines: readonly Line[];

beforeAll(async () => {
  containers = await prepareContainers();
  await containers.docker("compose", "--profile", "*", "build", "--quiet");
  lines = await containers.shell([...readmeLines(), 'echo "key $KEY"']);
  await containers.docker("compose", "up", "--detach", "--wait", "--no-recreate", "--scale", "worker=2");
}, 10 * MINUTE);

afterAll(async () => {
  await containers[Symbol.asyncDispose]();
}, 2 * MINUTE);

/** What the README's line with these words in it wrote. */
function output(...words: string[]): string {
  const found = lines.find(({ command }) => words.every((word) => command.includes(word)));
  if (!found) throw new Error(`The README has no line with ${words.join(" and ")}.`);
  return found.output;
}

function key(): string {
  return output("echo").replace("key ", "").trim();
}

async function inspect(service: string, format: string): Promise<readonly string[]> {
  const ids = await containers.idsOf(service);
  const answers = await Promise.all(ids.map((id) => containers.docker("inspect", "--format", format, id)));
  return answers.map((answer) => answer.trim());
}

async function environmentOf(service: string): Promise<Map<string, string>> {
  const [json = "[]"] = await inspect(service, "{{json .Config.Env}}");
  const entries: string[] = JSON.parse(json);
  return new Map(
    entries.map((entry) => [entry.slice(0, entry.indexOf("=")), entry.slice(entry.indexOf("=") + 1)]),
  );
}

describe("the README's lines", () => {
  test("upload the sample book", () => {
    expect(JSON.parse(output("curl", "/books"))).toMatchObject({
      status: expect.stringMatching(/stored|parsing|ready/),
    });
  });

  test("bring a run to its end", () => {
    expect(JSON.parse(output("/status/"))).toMatchObject({ status: "succeeded", method: "offline" });
  });

  test("show the result", () => {
    expect(output("/result")).toMatch(/^# .+/m);
  });

  test("make a key that opens Bull Board in a browser, and no other does", async () => {
    const basic = (password: string) => ({ authorization: `Basic ${btoa(`me:${password}`)}` });
    const board = `${containers.url}/admin/queues/`;
    const opened = await fetch(board, { headers: basic(key()) });
    expect({ status: opened.status, type: opened.headers.get("content-type") }).toMatchObject({
      status: 200,
      type: expect.stringContaining("text/html"),
    });
    expect((await fetch(board)).headers.get("www-authenticate")).toMatch(/^Basic/);
    expect((await fetch(board, { headers: basic("myth_live_wrong") })).status).toBe(401);
  });

  test("show both Redis roles at work", () => {
    expect(JSON.parse(output("/health/redis"))).toMatchObject({ status: "ok" });
  });
});

describe("the containers", () => {
  test("are all healthy, both workers too", async () => {
    const states = new Map<string, readonly string[]>();
    for (const service of [...OURS, ...DATABASES])
      states.set(service, await inspect(service, "{{.State.Health.Status}}"));
    expect(Object.fromEntries(states)).toEqual({
      api: ["healthy"],
      worker: ["healthy", "healthy"],
      mongo: ["healthy"],
      "queue-redis": ["healthy"],
      "cache-redis": ["healthy"],
    });
  });

  test.each(OURS)(
    "of the %s run as an ordinary user on a file system that nobody can write",
    async (service) => {
      for (const id of await containers.idsOf(service)) {
        const users = (await containers.docker("top", id, "-eo", "pid,uid")).trim().split("\n").slice(1);
        expect(new Set(users.map((line) => line.trim().split(/\s+/)[1]))).toEqual(new Set(["1000"]));
        await expect(containers.docker("exec", id, "touch", "/app/written")).rejects.toThrow(
          /Read-only file system/,
        );
        await expect(
          containers.docker("exec", "--user", "root", id, "touch", "/app/written"),
        ).rejects.toThrow(/Read-only/);
      }
    },
  );

  test("restart by themselves", async () => {
    for (const service of [...OURS, ...DATABASES])
      expect(new Set(await inspect(service, "{{.HostConfig.RestartPolicy.Name}}"))).toEqual(
        new Set(["unless-stopped"]),
      );
  });

  test("publish the API on the loopback address and nothing else", async () => {
    const [ports = "{}"] = await inspect("api", "{{json .NetworkSettings.Ports}}");
    expect(JSON.parse(ports)).toMatchObject({ "3000/tcp": [{ HostIp: "127.0.0.1" }] });
    for (const service of ["worker", ...DATABASES]) {
      for (const published of await inspect(service, "{{json .NetworkSettings.Ports}}"))
        expect(Object.values(JSON.parse(published) ?? {}).filter((port) => port !== null)).toEqual([]);
    }
  });

  test("of the databases ask for a password", async () => {
    for (const service of ["queue-redis", "cache-redis"]) {
      const [id = ""] = await containers.idsOf(service);
      const asked = await containers.docker("exec", "--env", "REDISCLI_AUTH=", id, "redis-cli", "ping");
      expect(asked).toMatch(/NOAUTH/);
    }
    const [mongo = ""] = await containers.idsOf("mongo");
    const read =
      'try { db.getSiblingDB("mythic").getCollectionNames(); print("open") } catch (e) { print("closed") }';
    expect(await containers.docker("exec", mongo, "mongosh", "--quiet", "--eval", read)).toContain("closed");
  });

  test("of Redis keep what must not be lost and evict only what can be made again", async () => {
    const ask = async (service: string, name: string) => {
      const [id = ""] = await containers.idsOf(service);
      return (await containers.docker("exec", id, "redis-cli", "config", "get", name)).split("\n")[1];
    };
    expect(await ask("queue-redis", "maxmemory-policy")).toBe("noeviction");
    expect(await ask("queue-redis", "appendonly")).toBe("yes");
    expect(await ask("cache-redis", "maxmemory-policy")).toBe("allkeys-lfu");
    expect(Number(await ask("cache-redis", "maxmemory"))).toBeGreaterThan(0);
    expect(await ask("cache-redis", "appendonly")).toBe("no");
    expect(await ask("cache-redis", "save")).toBe("");
  });

  test("of the worker hold its production dependencies only", async () => {
    const [id = ""] = await containers.idsOf("worker");
    const names = (await containers.docker("exec", id, "ls", "node_modules", "node_modules/@mythic")).split(
      "\n",
    );
    expect(names).toEqual(expect.arrayContaining(["bullmq", "mongodb", "openai", "worker"]));
    for (const name of [
      "express",
      "jest",
      "typescript",
      "commander",
      "testcontainers",
      "node",
      "api",
      "testing",
    ])
      expect(names).not.toContain(name);
    const megabytes = Number.parseInt(await containers.docker("exec", id, "du", "-sm", "node_modules"), 10);
    expect(megabytes).toBeLessThanOrEqual(WORKER_MODULES_MB);
  });

  test("warn of the development passwords", async () => {
    expect(await containers.docker("compose", "logs", "--no-color", "api")).toMatch(/password/i);
  });

  test("of the worker get longer to stop than the worker takes to drain", async () => {
    const [seconds = ""] = await inspect("worker", "{{.Config.StopTimeout}}");
    const drainMs = Number((await environmentOf("worker")).get("WORKER_DRAIN_MS") || 20_000);
    expect(Number(seconds) * 1_000).toBeGreaterThan(drainMs + 30_000);
  });

  test(
    "end by themselves on SIGTERM",
    async () => {
      await containers.docker("compose", "stop", ...OURS);
      for (const service of OURS)
        expect(new Set(await inspect(service, "{{.State.ExitCode}}"))).toEqual(new Set(["0"]));
    },
    MINUTE,
  );

  test(
    "find everything again after they were taken down and put up",
    async () => {
      const { id } = JSON.parse(output("/status/"));
      await containers.docker("compose", "down", "--timeout", "20");
      await containers.docker("compose", "up", "--detach", "--wait");
      const headers = { authorization: `Bearer ${key()}` };
      const status = await waitFor(
        async () => (await fetch(`${containers.url}/status/${id}`, { headers })).json(),
        {
          timeoutMs: MINUTE,
        },
      );
      expect(status).toMatchObject({ id, status: "succeeded" });
    },
    3 * MINUTE,
  );
});
