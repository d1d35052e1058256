import { parseRedisAddress } from "./redis-target.ts";

/**
 * Where a Redis is, as a URL:
 * - `redis://user:password@host:6379/0`: one server
 * - `redis+sentinel://user:password@host:26379,host/name/0`: the primary that these Sentinels know by that name. Sentinels
 *   with credentials of their own take them from `?sentinel_username=…&sentinel_password=…`
 * - `redis+cluster://user:password@host:6379,host`: a Cluster, through any of its servers
 *
 * With `rediss` instead of `redis` all of it goes over TLS. `?replicas=true` lets the replicas of a Sentinel's primary or of a
 * Cluster answer reads. It is part of the address because only whoever runs Redis knows whether there are replicas and how far
 * they lag: a replica may still return what was changed or deleted a moment ago.
 */
export type RedisAddress = string;

export interface RedisSettings {
  readonly url?: string | undefined;
  readonly host?: string | undefined;
  /** 6379 unless told. */
  readonly port?: number | undefined;
  /** 0 unless told. */
  readonly db?: number | undefined;
  readonly password?: string | undefined;
}

/** The address that the settings name, or null when they name none. A URL beats the host and its companions. */
export function redisAddress(settings: RedisSettings): RedisAddress | null {
  const { url, host, port = 6379, db = 0, password } = settings;
  if (url) return url;
  if (!host) return null;
  // The setters of URL leave a "%" as it is, which would be read as the start of an escape.
  const credentials = password ? `:${encodeURIComponent(password)}@` : "";
  const name = host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
  return `redis://${credentials}${name}:${port}/${db}`;
}

/** Whether this is an address in one of the forms above. */
export function isRedisAddress(text: string): boolean {
  try {
    parseRedisAddress(text);
    return true;
  } catch {
    return false;
  }
}
