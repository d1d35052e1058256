import { isIPv6 } from "node:net";

const WINDOW_MS = 60_000;
/** Wrong keys of one address in a window; each further one is turned away at once. */
const MOST_ATTEMPTS = 10;
const FIRST_DELAY_MS = 25;
const MOST_DELAY_MS = 2_000;
/** Addresses that are remembered. The one seen first is forgotten first. */
const MOST_ADDRESSES = 10_000;

export type Verdict =
  | { readonly kind: "delay"; readonly delayMs: number }
  | { readonly kind: "refuse"; readonly retryAfterSeconds: number };

/** Counts wrong keys per address, so that guessing gets slower and then stops. Keeps nothing across restarts. */
export class FailedAttempts {
  readonly #now: () => number;
  readonly #byAddress = new Map<string, { count: number; readonly since: number }>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Counts one more, and says what it costs. */
  add(address: string): Verdict {
    const network = networkOf(address);
    const now = this.#now();
    const known = this.#byAddress.get(network);
    const attempts = known && now - known.since < WINDOW_MS ? known : { count: 0, since: now };
    attempts.count++;
    this.#byAddress.delete(network);
    this.#byAddress.set(network, attempts);
    for (const oldest of this.#byAddress.keys()) {
      if (this.#byAddress.size <= MOST_ADDRESSES) break;
      this.#byAddress.delete(oldest);
    }
    if (attempts.count > MOST_ATTEMPTS) {
      const retryAfterSeconds = Math.ceil((attempts.since + WINDOW_MS - now) / 1_000);
      return { kind: "refuse", retryAfterSeconds };
    }
    return { kind: "delay", delayMs: Math.min(MOST_DELAY_MS, FIRST_DELAY_MS * 2 ** (attempts.count - 1)) };
  }

  get size(): number {
    return this.#byAddress.size;
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
