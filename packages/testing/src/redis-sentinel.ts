import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { freePort } from "./free-port.ts";
import { spawnGuarded } from "./guarded-process.ts";
import { needRedisServer, spawnRedis, type TestRedis, untilAnswers } from "./redis-server.ts";
import { waitFor } from "./wait.ts";

/** A primary and a replica of a test's own, under three Sentinels. */
export interface TestSentinel extends AsyncDisposable {
  /** `redis+sentinel://127.0.0.1:…,…/mythic`. */
  readonly url: string;
  /** Those that began as such. */
  readonly primary: TestRedis;
  readonly replica: TestRedis;
  /** The port of the server that is the primary now, in the eyes of all Sentinels; null while they differ. */
  primaryPort(): Promise<number | null>;
}

const NAME = "mythic";
/**
 * The first Sentinel replaces a primary that was silent for so long, on its own judgement, and asks the others for their votes only. If they
 * all noticed at the same moment each would vote for itself, and the next try is seconds later.
 */
const FIRST = { quorum: 1, downAfterMs: 500 };
const OTHER = { quorum: 2, downAfterMs: 5_000 };
const RULES = [FIRST, OTHER, OTHER];

/** Starts them on free ports, in about two seconds, with a `redis-server` on PATH. They end with this process. */
export async function startSentinel(): Promise<TestSentinel> {
  await needRedisServer();
  await using stack = new AsyncDisposableStack();
  const follow = ["--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0"];
  const primary = stack.use(await spawnRedis(follow));
  const replica = stack.use(await spawnRedis([...follow, "--replicaof", `127.0.0.1 ${primary.port}`]));
  const ports = await Promise.all(RULES.map(() => freePort()));
  await Promise.all(
    RULES.map(async (rules, index) => {
      await startOne({ ...rules, port: ports[index] ?? 0, primaryPort: primary.port }, stack);
    }),
  );
  const clients = ports.map((port) => stack.adopt(new Redis(port), async (client) => client.disconnect()));
  for (const client of clients) client.on("error", () => undefined);
  await untilMet(clients);
  const owned = stack.move();
  return {
    url: `redis+sentinel://${ports.map((port) => `127.0.0.1:${port}`).join(",")}/${NAME}`,
    primary,
    replica,
    async primaryPort() {
      const seen = await Promise.all(clients.map((client) => client.call("SENTINEL", "MASTER", NAME)));
      const ports = new Set(seen.map((fields) => Number(fieldOf(fields, "port"))));
      const [port] = ports;
      return ports.size === 1 && port !== undefined ? port : null;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

interface SentinelSettings {
  readonly port: number;
  readonly primaryPort: number;
  readonly quorum: number;
  readonly downAfterMs: number;
}

async function startOne(settings: SentinelSettings, stack: AsyncDisposableStack): Promise<void> {
  const { port, primaryPort, quorum, downAfterMs } = settings;
  const folder = await mkdtemp(join(tmpdir(), "mythic-sentinel-"));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  // A Sentinel writes down in this file what it learns.
  const file = join(folder, "sentinel.conf");
  const lines = [
    `port ${port}`,
    "bind 127.0.0.1",
    `dir ${folder}`,
    `sentinel monitor ${NAME} 127.0.0.1 ${primaryPort} ${quorum}`,
    `sentinel down-after-milliseconds ${NAME} ${downAfterMs}`,
    `sentinel failover-timeout ${NAME} 2000`,
  ];
  await writeFile(file, lines.join("\n"));
  const server = await spawnGuarded("redis-server", [file, "--sentinel"]);
  stack.defer(() => server.kill());
  await untilAnswers(port, "127.0.0.1");
}

/** Sentinels tell each other of themselves every two seconds, and look at the servers every ten, unless told to hurry. */
const HURRY = {
  "info-period": 100,
  "publish-period": 100,
  "ask-period": 100,
  // A replica is fit to take over if it was heard of within five of these, and without a primary it is asked once a second.
  "ping-period": 300,
};

async function untilMet(sentinels: readonly Redis[]): Promise<void> {
  const hurry = Object.entries(HURRY).flat().map(String);
  await Promise.all(sentinels.map((sentinel) => sentinel.call("SENTINEL", "DEBUG", ...hurry)));
  for (const sentinel of sentinels) {
    await waitFor(
      async () => {
        const fields = await sentinel.call("SENTINEL", "MASTER", NAME);
        const others = Number(fieldOf(fields, "num-other-sentinels"));
        const replicas = await sentinel.call("SENTINEL", "REPLICAS", NAME);
        // One that has not got the primary's data yet cannot take its place.
        const link = Array.isArray(replicas) ? fieldOf(replicas[0], "master-link-status") : null;
        return others === RULES.length - 1 && link === "ok";
      },
      { what: "the Sentinels to meet" },
    );
  }
}

/** The reply lists names and values in turn. */
function fieldOf(fields: unknown, name: string): unknown {
  return Array.isArray(fields) ? fields[fields.indexOf(name) + 1] : undefined;
}
