import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Redis } from "ioredis";
import { freePort } from "./free-port.ts";
import { spawnGuarded } from "./guarded-process.ts";
import { waitFor } from "./wait.ts";

const run = promisify(execFile);

/** An own Redis server, to be hurt by a test. */
export interface TestRedis {
  readonly url: string;
  readonly port: number;
  /** Freezes the server: connections stay open and nothing answers. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Removes every key. */
  wipe(): Promise<void>;
  /** Kills the server without saving. */
  stop(): Promise<void>;
  /** Starts it again on the same port, with what its append-only file holds. */
  start(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export async function isRedisServerOnPath(): Promise<boolean> {
  try {
    await run("redis-server", ["--version"]);
    return true;
  } catch {
    return false;
  }
}

/** As root on Debian or Ubuntu: installs the distribution's package. `noDocker`: why it is needed, for the error elsewhere. */
export async function installRedisServer(noDocker: string): Promise<void> {
  const system = await readFile("/etc/os-release", "utf8").catch(() => "");
  if (process.getuid?.() !== 0 || !/^ID(?:_LIKE)?=.*(?:debian|ubuntu)/m.test(system)) {
    throw new Error(
      `There is no redis-server on PATH and no Docker engine (${noDocker}). Install one, or set TEST_REDIS_URL.`,
    );
  }
  // Several test processes may come here at once: they queue for the package manager's lock.
  const install = [
    "-o",
    "DPkg::Lock::Timeout=120",
    "install",
    "-y",
    "--no-install-recommends",
    "redis-server",
  ];
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" };
  try {
    await run("apt-get", install, { env });
  } catch {
    // A fresh machine has no package lists yet.
    await run("apt-get", ["-o", "DPkg::Lock::Timeout=120", "update"], { env });
    await run("apt-get", install, { env });
  }
}

/** Starts a `redis-server` that ends with this process. */
export async function spawnRedis(args: readonly string[]): Promise<TestRedis> {
  const port = await freePort();
  const folder = await mkdtemp(join(tmpdir(), "mythic-redis-"));
  const options = ["--port", String(port), "--bind", "127.0.0.1", "--dir", folder, ...args];
  let server = await spawnGuarded("redis-server", options);
  const dispose = async () => {
    await server.kill();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await untilAnswers(port, "127.0.0.1");
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    async pause() {
      process.kill(server.processId, "SIGSTOP");
    },
    async resume() {
      process.kill(server.processId, "SIGCONT");
    },
    wipe: () => wipe(port, "127.0.0.1"),
    stop: () => server.kill(),
    async start() {
      server = await spawnGuarded("redis-server", options);
      await untilAnswers(port, "127.0.0.1");
    },
    [Symbol.asyncDispose]: dispose,
  };
}

export async function wipe(port: number, host: string): Promise<void> {
  const client = new Redis({ host, port });
  try {
    await client.flushall();
  } finally {
    client.disconnect();
  }
}

export async function untilAnswers(port: number, host: string): Promise<void> {
  const client = new Redis({
    host,
    port,
    lazyConnect: true,
    retryStrategy: () => 20,
    maxRetriesPerRequest: null,
  });
  // Refused connections are expected until the server is up; waiting ends with the time-out.
  client.on("error", () => undefined);
  try {
    await waitFor(
      async () => {
        if (client.status === "wait" || client.status === "end") await client.connect();
        await client.ping();
        return true;
      },
      { what: `Redis to answer on port ${port}`, timeoutMs: 20_000 },
    );
  } finally {
    client.disconnect();
  }
}

/** For what a single container cannot give: a `redis-server` on PATH, installed now where that can be done. */
export async function needRedisServer(): Promise<void> {
  if (!(await isRedisServerOnPath())) await installRedisServer("not enough here");
}
