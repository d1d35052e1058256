import { Redis } from "ioredis";
import { freePort } from "./free-port.ts";
import { needRedisServer, spawnRedis, type TestRedis } from "./redis-server.ts";
import { waitFor } from "./wait.ts";

/** A Redis Cluster of a test's own: three primaries that share the slots, each with as many replicas as asked for. */
export interface TestRedisCluster extends AsyncDisposable {
  /** `redis+cluster://127.0.0.1:…,…` of the primaries. */
  readonly url: string;
  readonly primaries: readonly TestRedis[];
  /** Those of the first primary, then those of the second … */
  readonly replicas: readonly TestRedis[];
}

export interface RedisClusterOptions {
  /** Of each primary. None unless told. */
  readonly replicas?: number;
  /** A server that is silent for so long is taken for lost, and a replica takes its place. 1,000 unless told. */
  readonly nodeTimeoutMs?: number;
  /** More options of `redis-server`, for each of them. */
  readonly args?: readonly string[];
}

const PRIMARIES = 3;
const SLOTS = 16_384;
/** Servers that failed to meet try again after this time, so while they form a Cluster it is never longer. */
const NODE_TIMEOUT_MS = 1_000;

/** Starts a Cluster on free ports, in about three seconds, with a `redis-server` on PATH. It ends with this process. */
export async function startRedisCluster(options: RedisClusterOptions = {}): Promise<TestRedisCluster> {
  await needRedisServer();
  const { replicas = 0, nodeTimeoutMs = NODE_TIMEOUT_MS, args = [] } = options;
  await using stack = new AsyncDisposableStack();
  const start = async () => stack.use(await spawnRedis(await nodeArguments(args)));
  const nodes = await Promise.all(Array.from({ length: PRIMARIES * (1 + replicas) }, start));
  const primaries = nodes.slice(0, PRIMARIES);
  const followers = nodes.slice(PRIMARIES);
  await using clients = new AsyncDisposableStack();
  const connections = nodes.map(({ url }) =>
    clients.adopt(new Redis(url), async (client) => client.disconnect()),
  );
  await form(connections);
  await Promise.all(connections.map((node) => node.config("SET", "cluster-node-timeout", nodeTimeoutMs)));
  const owned = stack.move();
  return {
    url: `redis+cluster://${primaries.map(({ port }) => `127.0.0.1:${port}`).join(",")}`,
    primaries,
    replicas: followers,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function nodeArguments(more: readonly string[]): Promise<readonly string[]> {
  // Unless told, the servers talk to each other on a port that is 10,000 higher, which need not exist.
  const busPort = await freePort();
  return [
    ...["--save", "", "--appendonly", "no", "--cluster-enabled", "yes", "--cluster-port", String(busPort)],
    ...["--cluster-node-timeout", String(NODE_TIMEOUT_MS), "--repl-diskless-sync-delay", "0"],
    // A replica is told of to clients once it has heard from its primary, which by default speaks up every ten seconds.
    ...["--repl-ping-replica-period", "1", ...more],
  ];
}

async function form(nodes: readonly Redis[]): Promise<void> {
  const primaries = nodes.slice(0, PRIMARIES);
  const ids = await Promise.all(nodes.map(async (node) => String(await node.cluster("MYID"))));
  await Promise.all(
    primaries.map((node, index) => {
      const [from, to] = [index, index + 1].map((part) => Math.ceil((part * SLOTS) / PRIMARIES));
      return node.call("CLUSTER", "ADDSLOTSRANGE", String(from), String((to ?? SLOTS) - 1));
    }),
  );
  await introduce(nodes);
  await Promise.all(
    nodes.slice(PRIMARIES).map(async (replica, index) => {
      const primary = Math.floor(index / (nodes.length / PRIMARIES - 1));
      await untilKnown(replica, nodes.length);
      await replica.cluster("REPLICATE", String(ids[primary]));
    }),
  );
  for (const node of nodes) await untilWhole(node, nodes.length);
}

/** Who knows one of them hears of the others. */
async function introduce(nodes: readonly Redis[]): Promise<void> {
  const [first, ...others] = nodes;
  const port = String(first?.options.port);
  const busPort = String((await first?.config("GET", "cluster-port"))?.[1]);
  await Promise.all(others.map((node) => node.call("CLUSTER", "MEET", "127.0.0.1", port, busPort)));
}

async function untilKnown(node: Redis, count: number): Promise<void> {
  await waitFor(
    async () =>
      String(await node.cluster("NODES"))
        .trim()
        .split("\n").length === count,
    {
      what: "the servers of a Cluster to meet",
    },
  );
}

async function untilWhole(node: Redis, count: number): Promise<void> {
  const isWhole = async () => {
    // A replica counts once it has got its primary's data.
    const ranges: unknown[] = Array.from(await node.cluster("SLOTS"));
    const places = ranges.map((range) => (Array.isArray(range) ? range.length - 2 : 0));
    const state = String(await node.cluster("INFO"));
    const servers = places.reduce((total, place) => total + place, 0);
    return servers === count && state.includes("cluster_state:ok");
  };
  await waitFor(isWhole, { what: "a Cluster to be whole", timeoutMs: 20_000 });
}
