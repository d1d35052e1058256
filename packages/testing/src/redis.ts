import { missingDocker, startContainer } from "./docker.ts";
import { freePort } from "./free-port.ts";
import {
  installRedisServer,
  isRedisServerOnPath,
  spawnRedis,
  type TestRedis,
  untilAnswers,
  wipe,
} from "./redis-server.ts";
import { askSharedService } from "./shared-services.ts";

export type { TestRedis } from "./redis-server.ts";

export interface RedisOptions {
  /** Options of `redis-server`, for example `["--maxmemory", "10mb"]`. Without any, nothing is persisted. */
  readonly args?: readonly string[];
}

const IMAGE = "redis:8";

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

/** For a Redis that stays well while a test lasts, in milliseconds: a reply that is late comes from a busy machine. */
export const PATIENT_MS = 5_000;

/** How long to wait for replies: of the Redis that all share for long, of one that a test may hurt as long as in production. */
export async function redisTimeoutMs(url: string | null): Promise<number> {
  return url !== null && url === (await redisUrl()) ? PATIENT_MS : 200;
}

/**
 * Starts a Redis server of the test's own on a free port: a `redis-server` on PATH, else a container of a Docker engine, else,
 * as root on Debian or Ubuntu, the distribution's package, installed now.
 */
export async function startRedis(options: RedisOptions = {}): Promise<TestRedis> {
  const args = ["--save", "", "--appendonly", "no", ...(options.args ?? [])];
  if (await isRedisServerOnPath()) return await spawnRedis(args);
  const noDocker = await missingDocker();
  if (noDocker === null) return await runRedisContainer(args);
  await installRedisServer(noDocker);
  return await spawnRedis(args);
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
