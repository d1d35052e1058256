import type { IncomingMessage } from "node:http";

/** Longer waits end in proxies. */
const MOST_SECONDS = 30;

/** Seconds that a client wants to wait for a change: `Prefer: wait=25` (RFC 7240). 0 without the wish. */
export function wantedWaitSeconds({ headers }: Pick<IncomingMessage, "headers">): number {
  const { prefer } = headers;
  if (prefer === undefined) return 0;
  const [, seconds] = /(?:^|[,;])\s*wait\s*=\s*"?(\d{1,9})"?\s*(?:$|[,;])/i.exec(String(prefer)) ?? [];
  return Math.min(Number(seconds ?? 0), MOST_SECONDS);
}
