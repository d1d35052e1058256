import type { Decision, Limit } from "./limit.ts";

/** The largest integer of a structured field (RFC 9651). */
const LARGEST = 999_999_999_999_999;

/**
 * The header fields `RateLimit-Policy` and `RateLimit` in the syntax of draft-ietf-httpapi-ratelimit-headers-11, and `Retry-After` for a refusal
 * that waiting helps. `t` is the time until the whole burst is there again; for the limit that refused it is that of `Retry-After`, as the draft asks.
 */
export function rateLimitHeaders(
  limits: readonly Limit[],
  decision: Decision,
): Readonly<Record<string, string>> {
  const { refusedBy, never, retryAfterMs } = decision;
  const headers: Record<string, string> = {};
  if (limits.length > 0) headers["RateLimit-Policy"] = limits.map(policy).join(", ");
  const states = decision.limits.map(({ name, remaining, resetMs }) => {
    const ms = name === refusedBy ? retryAfterMs : resetMs;
    return `"${name}";r=${integer(remaining)};t=${seconds(ms)}`;
  });
  if (states.length > 0) headers["RateLimit"] = states.join(", ");
  if (refusedBy !== null && !never) headers["Retry-After"] = String(seconds(retryAfterMs));
  return headers;
}

function policy({ name, limit, periodMs }: Limit): string {
  return `"${name}";q=${integer(limit)};w=${seconds(periodMs)}`;
}

function integer(value: number): number {
  return Math.min(Math.floor(value), LARGEST);
}

function seconds(ms: number): number {
  return integer(Math.ceil(ms / 1_000));
}
