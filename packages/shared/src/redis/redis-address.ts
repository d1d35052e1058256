/** Where a Redis is, as a URL: `redis://user:password@host:port/db`, or `rediss:` for TLS. */
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

/**
 * Checks an address before anything connects to it.
 *
 * @throws TypeError which does not show the address, as there may be a password in it
 */
export function assertRedisAddress(address: RedisAddress): void {
  const protocol = URL.canParse(address) ? new URL(address).protocol : null;
  if (protocol !== "redis:" && protocol !== "rediss:") {
    throw new TypeError("The address of Redis must be a URL that begins with redis: or rediss:");
  }
}
