/** What INFO says of a server, as far as operators of a cache and a queue ask. Null: it did not say. */
export interface ServerInfo {
  readonly version: string | null;
  /** Bytes. */
  readonly usedMemory: number | null;
  /** Bytes. Null when there is no limit. */
  readonly maxMemory: number | null;
  /** What Redis does when memory is full: `noeviction`, `allkeys-lfu` … */
  readonly policy: string | null;
  /** Keys removed for lack of memory, since the server started. */
  readonly evictedKeys: number | null;
  /** Look-ups of keys that were there, since the server started. */
  readonly keyspaceHits: number | null;
  /** Look-ups of keys that were not there, since the server started. */
  readonly keyspaceMisses: number | null;
  readonly connectedClients: number | null;
}

export const NO_INFO: ServerInfo = {
  version: null,
  usedMemory: null,
  maxMemory: null,
  policy: null,
  evictedKeys: null,
  keyspaceHits: null,
  keyspaceMisses: null,
  connectedClients: null,
};

/** Reads the reply of INFO: lines of `name:value`. */
export function readInfo(info: string): ServerInfo {
  const field = (name: string) => new RegExp(`^${name}:(.*?)\\r?$`, "m").exec(info)?.[1] ?? null;
  const number = (name: string) => {
    const text = field(name);
    return text === null ? null : Number(text);
  };
  return {
    version: field("redis_version"),
    usedMemory: number("used_memory"),
    maxMemory: number("maxmemory") || null,
    policy: field("maxmemory_policy"),
    evictedKeys: number("evicted_keys"),
    keyspaceHits: number("keyspace_hits"),
    keyspaceMisses: number("keyspace_misses"),
    connectedClients: number("connected_clients"),
  };
}

/** What the servers of a Cluster say together: sums, the oldest version, and every policy that one of them has. */
export function joinInfos(infos: readonly ServerInfo[]): ServerInfo {
  const sum = (name: keyof ServerInfo) => {
    const values = infos.map((info) => info[name]);
    // One server without a limit makes a Cluster without one.
    return values.includes(null) ? null : values.reduce<number>((total, value) => total + Number(value), 0);
  };
  const versions = infos.flatMap(({ version }) => version ?? []).sort(compareVersions);
  const policies = new Set(infos.flatMap(({ policy }) => policy ?? []));
  return {
    version: versions[0] ?? null,
    usedMemory: sum("usedMemory"),
    maxMemory: sum("maxMemory"),
    policy: [...policies].join(", ") || null,
    evictedKeys: sum("evictedKeys"),
    keyspaceHits: sum("keyspaceHits"),
    keyspaceMisses: sum("keyspaceMisses"),
    connectedClients: sum("connectedClients"),
  };
}

/** Orders versions as people do: 7.4 is before 10.0. */
export function compareVersions(one: string, other: string): number {
  return one.localeCompare(other, "en", { numeric: true });
}
