import { Cluster, Redis, type RedisOptions } from "ioredis";
import type { ConnectionPolicy } from "./connection-policies.ts";
import type { ClusterTarget, RedisTarget, SentinelTarget } from "./redis-target.ts";
import { ReplicaReader } from "./replica-reader.ts";
import { retryDelay } from "./retry-delay.ts";
import { PersistentSentinelConnector } from "./sentinel-connector.ts";

/** A server, or the primary that Sentinels name, is a `Redis`; a Cluster is a `Cluster`. Both send the same commands. */
export type RedisConnection = Redis | Cluster;

/** A network that loses idle connections is noticed within this time. */
const KEEP_ALIVE_MS = 10_000;
/** How long a server that was hung up on may take to do the same. A frozen one never does. */
const HANG_UP_MS = 500;
/** A Sentinel that is frozen is given up after this, and the next one asked. */
const SENTINEL_TIMEOUT_MS = 1_000;
const READ_ONLY_PATIENCE_MS = 60_000;
/** After a server of a Cluster was lost, a command tries its successor this much later. */
const CLUSTER_RETRY_MS = 50;

/** Primaries tell where a key has moved to; of a new replica nobody tells. */
const REPLICAS_REFRESH_MS = 30_000;

/** Replies keep the shapes that ioredis gives them by default. */
type Options = Omit<RedisOptions, "replyMapping">;

/** Opens a connection in the way that the address asks for. Returns at once. Subscriptions end with each loss of it; whoever has some renews them. */
export function openConnection(
  target: RedisTarget,
  policy: ConnectionPolicy,
  connectionName: string,
): RedisConnection {
  const options = {
    ...policy,
    connectionName,
    keepAlive: KEEP_ALIVE_MS,
    disconnectTimeout: HANG_UP_MS,
    // When the connection is lost again at that moment, nobody could catch that it fails, which ends the process.
    autoResubscribe: false,
  };
  if (target.kind === "cluster") return openCluster(target, options);
  const single = { ...options, retryStrategy: retryDelay, reconnectOnError: reconnectOnReadOnly(policy) };
  if (target.kind === "standalone") return new Redis(target.url, single);
  const sentinel = { ...single, ...sentinelOptions(target) };
  return target.readsFromReplicas ? new ReplicaReader(sentinel) : new Redis(sentinel);
}

/**
 * A primary that became a replica refuses writes; the next connection finds the new one. A server that stays read-only is not
 * left again and again, as reads from it are of use. Work for the queue is sent again, as nothing else can be done with it.
 */
function reconnectOnReadOnly(policy: ConnectionPolicy): (error: Error) => false | 1 | 2 {
  let last = Number.NEGATIVE_INFINITY;
  return (error) => {
    if (!error.message.startsWith("READONLY")) return false;
    if (policy.maxRetriesPerRequest !== 0) return 2;
    const now = performance.now();
    if (now - last < READ_ONLY_PATIENCE_MS) return false;
    last = now;
    return 1;
  };
}

function sentinelOptions(target: SentinelTarget): Options {
  const { hosts, name, db, credentials, sentinelCredentials, tls } = target;
  const { username, password } = sentinelCredentials;
  return {
    sentinels: [...hosts],
    name,
    db,
    ...credentials,
    ...(username === undefined ? {} : { sentinelUsername: username }),
    ...(password === undefined ? {} : { sentinelPassword: password }),
    ...(tls ? { tls: {}, sentinelTLS: {}, enableTLSForSentinelMode: true } : {}),
    sentinelCommandTimeout: SENTINEL_TIMEOUT_MS,
    sentinelRetryStrategy: retryDelay,
    Connector: PersistentSentinelConnector,
  };
}

function openCluster(target: ClusterTarget, options: Options): Cluster {
  const { hosts, credentials, tls, readsFromReplicas } = target;
  const cluster = new Cluster([...hosts], {
    redisOptions: { ...options, ...credentials, ...(tls ? { tls: {} } : {}) },
    enableOfflineQueue: options.maxRetriesPerRequest === null,
    clusterRetryStrategy: retryDelay,
    retryDelayOnFailover: CLUSTER_RETRY_MS,
    scaleReads: readsFromReplicas ? "slave" : "master",
    ...(readsFromReplicas ? { slotsRefreshInterval: REPLICAS_REFRESH_MS } : {}),
    // A certificate is for a name, so the name is kept.
    ...(tls ? { dnsLookup: (host, callback) => callback(null, host) } : {}),
  });
  // Otherwise a new server is connected to by its first command, and those that follow it too soon are refused.
  cluster.on("+node", (node: Redis) => {
    const isOfUse = readsFromReplicas || !node.options.readOnly;
    if (cluster.status === "ready" && isOfUse) node.connect().catch(() => undefined);
  });
  return cluster;
}
