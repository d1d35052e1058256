import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { Redis } from "ioredis";
import { missingDocker, startContainer } from "./docker.ts";
import { freePort } from "./free-port.ts";
import { askSharedService } from "./shared-services.ts";
import { waitFor } from "./wait.ts";

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

export interface RedisOptions {
  /** Options of `redis-server`, for example `["--maxmemory", "10mb"]`. Without any, nothing is persisted. */
  readonly args?: readonly string[];
}

const IMAGE = "redis:8";
const run = promisify(execFile);

/**
 * The Redis that all tests of a workspace share: `TEST_REDIS_URL`, else one that the test run starts.
 * Tests take keys of their own in it and never flush it.
 */
export async function redisUrl(): Promise<string> {
  const url = process.env["TEST_REDIS_URL"];
  if (url) return url;
  const { url: shared, reason } = await askSharedService("redis");
  if (shared === null) throw new Error(`No Redis for tests: ${reason}`);
  return shared;
}

/**
 * Starts a Redis server of the test's own on a free port: a `redis-server` on PATH, else a container of a Docker engine, else,
 * as root on Debian or Ubuntu, the distribution's package, installed now.
 */
export async function startRedis(options: RedisOptions = {}): Promise<TestRedis> {
  const args = ["--save", "", "--appendonly", "no", ...(options.args ?? [])];
  if (await isOnPath()) return await spawnRedis(args);
  const noDocker = await missingDocker();
  if (noDocker === null) return await runRedisContainer(args);
  await installRedis(noDocker);
  return await spawnRedis(args);
}

async function isOnPath(): Promise<boolean> {
  try {
    await run("redis-server", ["--version"]);
    return true;
  } catch {
    return false;
  }
}

async function installRedis(noDocker: string): Promise<void> {
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

async function spawnRedis(args: readonly string[]): Promise<TestRedis> {
  const port = await freePort();
  const folder = await mkdtemp(join(tmpdir(), "mythic-redis-"));
  const options = ["--port", String(port), "--bind", "127.0.0.1", "--dir", folder, ...args];
  let server = await spawnGuarded("redis-server", options);
  await untilAnswers(port, "127.0.0.1");
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
    async [Symbol.asyncDispose]() {
      await server.kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function runRedisContainer(args: readonly string[]): Promise<TestRedis> {
  const { GenericContainer } = await import("testcontainers");
  const port = await freePort();
  // A fixed port, as Docker gives a free one anew at each start.
  const container = await startContainer(
    new GenericContainer(IMAGE)
      .withExposedPorts({ container: 6379, host: port })
      .withCommand(["redis-server", ...args]),
  );
  const { host } = container;
  await untilAnswers(port, host);
  return {
    url: `redis://${host}:${port}`,
    port,
    pause: () => container.pause(),
    resume: () => container.resume(),
    wipe: () => wipe(port, host),
    stop: () => container.stop(),
    async start() {
      await container.start();
      await untilAnswers(port, host);
    },
    [Symbol.asyncDispose]: () => container.remove(),
  };
}

async function wipe(port: number, host: string): Promise<void> {
  const client = new Redis({ host, port });
  try {
    await client.flushall();
  } finally {
    client.disconnect();
  }
}

async function untilAnswers(port: number, host: string): Promise<void> {
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

interface GuardedProcess {
  readonly processId: number;
  kill(): Promise<void>;
}

/**
 * Starts a server through a shell that kills it when its own input ends, which it does when this process ends in whatever way.
 * So no server outlives a test run that was killed.
 */
async function spawnGuarded(command: string, args: readonly string[]): Promise<GuardedProcess> {
  const script = `exec 3<&0; "$@" </dev/null >/dev/null 2>&1 & echo $!; cat <&3 >/dev/null; kill -9 $!; wait`;
  const guard = spawn("sh", ["-c", script, "sh", command, ...args], { stdio: ["pipe", "pipe", "ignore"] });
  const lines = createInterface(guard.stdout);
  const [line] = await once(lines, "line");
  lines.close();
  return {
    processId: Number(line),
    async kill() {
      if (guard.exitCode !== null || guard.signalCode !== null) return;
      const ended = once(guard, "exit");
      guard.stdin.end();
      await ended;
    },
  };
}
