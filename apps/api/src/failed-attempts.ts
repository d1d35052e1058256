import { isIPv6 } from "node:net";
import type { RateLimiter } from "@mythic/shared/rate-limit";
import type { Policy } from "./policies.ts";

const FIRST_DELAY_MS = 25;
const MOST_DELAY_MS = 2_000;

export type Verdict =
  | { readonly kind: "delay"; readonly delayMs: number }
  | { readonly kind: "refuse"; readonly retryAfterSeconds: number };

/** Counts wrong keys per address, over all processes, so that guessing gets slower and then stops for a while. */
export class FailedAttempts {
  readonly #limiter: RateLimiter;
  readonly #policy: Policy | null;

  /** Without a policy nothing is counted. */
  constructor(limiter: RateLimiter, policy: Policy | null) {
    this.#limiter = limiter;
    this.#policy = policy;
  }

  /** Counts one more, and says what it costs. */
  async add(address: string): Promise<Verdict> {
    if (this.#policy === null) return { kind: "delay", delayMs: 0 };
    const { limit, periodMs } = this.#policy;
    const attempts = { name: "logins", key: networkOf(address), limit, periodMs };
    const { allowed, retryAfterMs, limits } = await this.#limiter.limit([attempts]);
    if (!allowed) return { kind: "refuse", retryAfterSeconds: Math.ceil(retryAfterMs / 1_000) };
    const left = limits[0]?.remaining ?? 0;
    // After the last one a whole period passes until the next; else every address could go on at the pace of the limit.
    if (left === 0) await this.#limiter.block(attempts, periodMs);
    return { kind: "delay", delayMs: Math.min(MOST_DELAY_MS, FIRST_DELAY_MS * 2 ** (limit - left - 1)) };
  }
}

/** One customer of a provider has a whole /64 of IPv6 addresses. */
function networkOf(address: string): string {
  if (!isIPv6(address) || address.startsWith("::ffff:")) return address;
  const [front = "", back = ""] = address.split("::");
  const head = front.split(":").filter((part) => part !== "");
  const tail = back.split(":").filter((part) => part !== "");
  const zeros = Array.from({ length: Math.max(0, 8 - head.length - tail.length) }, () => "0");
  return [...head, ...(address.includes("::") ? zeros : []), ...tail].slice(0, 4).join(":");
}
