/** What an address says, taken apart. */
export type RedisTarget = StandaloneTarget | SentinelTarget | ClusterTarget;

interface StandaloneTarget {
  readonly kind: "standalone";
  readonly url: string;
}

interface GroupTarget {
  readonly hosts: readonly RedisHost[];
  readonly credentials: RedisCredentials;
  readonly tls: boolean;
  readonly readsFromReplicas: boolean;
}

export interface SentinelTarget extends GroupTarget {
  readonly kind: "sentinel";
  /** By which the Sentinels know the primary. */
  readonly name: string;
  readonly db: number;
  /** Of the Sentinels themselves. */
  readonly sentinelCredentials: RedisCredentials;
}

export interface ClusterTarget extends GroupTarget {
  readonly kind: "cluster";
}

interface RedisHost {
  readonly host: string;
  readonly port: number;
}

interface RedisCredentials {
  readonly username?: string;
  readonly password?: string;
}

/** What an address must be, for messages. They never show the address, as there may be a password in it. */
export const ADDRESS_FORMS =
  "a URL that begins with redis: or rediss:, or redis+sentinel://host,host/name, or redis+cluster://host,host";

/**
 * Takes an address apart before anything connects to it.
 *
 * @throws TypeError which does not show the address
 */
export function parseRedisAddress(address: string): RedisTarget {
  const target = parseStandalone(address) ?? parseGroup(address);
  if (target === null) throw new TypeError(`The address of Redis must be ${ADDRESS_FORMS}.`);
  return target;
}

function parseStandalone(address: string): RedisTarget | null {
  if (!/^rediss?:/i.test(address) || !URL.canParse(address)) return null;
  // A server alone has no replicas that anyone could ask.
  return new URL(address).searchParams.has("replicas") ? null : { kind: "standalone", url: address };
}

/** Several hosts do not make a URL by the standard, so the class of that name refuses them. */
const GROUP =
  /^(redis|rediss)\+(sentinel|cluster):\/\/(?:([^:@/?#]*)(?::([^@/?#]*))?@)?([^@/?#]+)(\/[^?#]*)?(?:\?([^#]*))?$/;

function parseGroup(address: string): RedisTarget | null {
  const [, scheme, kind, username, password, hosts = "", path = "", query] = GROUP.exec(address) ?? [];
  try {
    const parameters = parseParameters(query);
    const group: GroupTarget = {
      hosts: hosts.split(",").map((host) => parseHost(host, kind === "sentinel" ? 26_379 : 6_379)),
      credentials: credentials(decodeURIComponent(username ?? ""), decodeURIComponent(password ?? "")),
      tls: scheme === "rediss",
      readsFromReplicas: parameters.get("replicas") === "true",
    };
    if (kind === "sentinel") return parseSentinel(group, path, parameters);
    return path === "" || path === "/" ? { kind: "cluster", ...group } : null;
  } catch {
    return null;
  }
}

function parseSentinel(group: GroupTarget, path: string, parameters: URLSearchParams): RedisTarget | null {
  const [, name, db = "0"] = /^\/([^/]+)(?:\/(\d+))?\/?$/.exec(path) ?? [];
  if (name === undefined) return null;
  return {
    kind: "sentinel",
    ...group,
    name: decodeURIComponent(name),
    db: Number(db),
    sentinelCredentials: credentials(
      parameters.get("sentinel_username") ?? "",
      parameters.get("sentinel_password") ?? "",
    ),
  };
}

const PARAMETERS = new Set(["replicas", "sentinel_username", "sentinel_password"]);

function parseParameters(query: string | undefined): URLSearchParams {
  const parameters = new URLSearchParams(query);
  for (const name of parameters.keys()) if (!PARAMETERS.has(name)) throw new TypeError();
  return parameters;
}

function parseHost(text: string, defaultPort: number): RedisHost {
  const [, ipv6, name, port] = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/i.exec(text) ?? [];
  const host = ipv6 ?? name;
  if (host === undefined) throw new TypeError();
  return { host, port: port === undefined ? defaultPort : Number(port) };
}

function credentials(username: string, password: string): RedisCredentials {
  return { ...(username ? { username } : {}), ...(password ? { password } : {}) };
}
