import type { IncomingMessage } from "node:http";
import { isIPv4 } from "node:net";

/** True for a host to listen on that only this machine can reach. */
export function isLoopback(host: string): boolean {
  const name = host.replace(/^\[(.*)\]$/, "$1").toLowerCase();
  return name === "localhost" || name === "::1" || (isIPv4(name) && name.startsWith("127."));
}

/** What proxies add, in their usual settings. */
const PROXY_HEADERS = [
  "forwarded",
  "via",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-proto",
  "x-real-ip",
];

/**
 * True when a request that came over loopback was meant for this machine: a page of another site can have a name of its own
 * point to 127.0.0.1 (DNS rebinding), and a proxy brings strangers in.
 */
export function isMeantForThisMachine(request: IncomingMessage): boolean {
  const { headers } = request;
  if (PROXY_HEADERS.some((name) => headers[name] !== undefined)) return false;
  return isLoopback(hostNameOf(headers.host)) && isOfSameOrigin(request);
}

/** False for what a page of another site makes a browser send. Programs that are no browsers send neither header. */
export function isOfSameOrigin(request: IncomingMessage): boolean {
  const { origin, host } = request.headers;
  const site = request.headers["sec-fetch-site"];
  const reads = request.method === "GET" || request.method === "HEAD";
  if (!reads && site !== undefined && site !== "same-origin" && site !== "none") return false;
  return origin === undefined || (URL.canParse(origin) && new URL(origin).host === host?.toLowerCase());
}

function hostNameOf(host: string | undefined): string {
  const url = `http://${host ?? ""}`;
  return URL.canParse(url) ? new URL(url).hostname : "";
}
