import { type Limit, type RateLimiter, rateLimitHeaders } from "@mythic/shared/rate-limit";
import type { Caller } from "./authenticate.ts";
import { Problem } from "./errors.ts";
import type { Policies, PolicyName } from "./policies.ts";
import type { RequestRecord } from "./request-record.ts";

/** A process takes so much of a limit at once from Redis, so that most requests need no way there. */
const CHUNK_SHARE = 1 / 60;
/** Of what a process took, what it does not spend is lost to the others for a period. */
const MOST_AT_ONCE = 100;
/** Those of which there are so many that it matters. */
const CHUNKED: ReadonlySet<PolicyName> = new Set(["reads", "completions"]);

/** Holds users to what the policies allow them. */
export class RateLimits {
  readonly #limiter: RateLimiter;
  readonly #policies: Policies;

  constructor(limiter: RateLimiter, policies: Policies) {
    this.#limiter = limiter;
    this.#policies = policies;
  }

  /**
   * Takes one of each, or none; what is left stands in the headers of the answer. Whoever asks without a key, as the only user of this
   * machine, is not limited.
   *
   * @throws Problem when one of them is used up
   */
  async take(caller: Caller, names: readonly PolicyName[], record: RequestRecord): Promise<void> {
    if (caller.keyId === null) return;
    const limits: Limit[] = [];
    for (const name of names) {
      const limit = this.#limitOf(name, caller.user);
      if (limit !== null) limits.push(limit);
    }
    if (limits.length === 0) return;
    const decision = await this.#limiter.limit(limits);
    record.addHeaders(rateLimitHeaders(limits, decision));
    const { allowed, refusedBy } = decision;
    if (allowed) return;
    throw new Problem("rate_limited", `There are too many requests. The limit of ${refusedBy} is used up.`, {
      more: { "violated-policies": [refusedBy] },
    });
  }

  #limitOf(name: PolicyName, user: string): Limit | null {
    const policy = this.#policies[name];
    if (policy === null) return null;
    const { limit, periodMs } = policy;
    const chunk = CHUNKED.has(name) ? Math.min(Math.floor(limit * CHUNK_SHARE), MOST_AT_ONCE) : 0;
    return { name, key: user, limit, periodMs, chunk, whenDown: name === "reads" ? "open" : "local" };
  }
}
