import type { RunCache } from "@mythic/runs/cache";
import { checkRedis, type GuardedRedis, type RedisHealth } from "@mythic/shared/redis";

type RoleName = "queue" | "cache";
/** Null: none is configured. */
export type RedisRoles = Readonly<Record<RoleName, GuardedRedis | null>>;

export type RoleState =
  | { readonly state: "not_configured" }
  /** `degraded`: it answers, and not everything is as it should be. */
  | { readonly state: "ok" | "degraded" | "unreachable"; readonly health: RedisHealth };

export type RedisStates = Readonly<Record<RoleName, RoleState>>;

/** How long an answer is good for, so that many who ask cost one question. */
const FRESH_MS = 1_000;

/** Knows how both roles of Redis are, frozen ones included. */
export class RedisWatch {
  readonly #roles: RedisRoles;
  readonly #cache: RunCache | null;
  readonly #now: () => number;
  #asked: { readonly at: number; readonly states: Promise<RedisStates> } | null = null;

  constructor(roles: RedisRoles, cache: RunCache | null, now: () => number) {
    this.#roles = roles;
    this.#cache = cache;
    this.#now = now;
  }

  /** Resolves within a second and never rejects. */
  states(): Promise<RedisStates> {
    const now = this.#now();
    if (this.#asked === null || now - this.#asked.at >= FRESH_MS) {
      this.#asked = { at: now, states: this.#ask() };
    }
    return this.#asked.states;
  }

  async #ask(): Promise<RedisStates> {
    const [queue, cache] = await Promise.all([stateOf(this.#roles.queue), stateOf(this.#roles.cache)]);
    // The cache hears of changes over a connection of its own.
    const isDeaf = cache.state === "ok" && this.#cache?.health().status === "degraded";
    return { queue, cache: isDeaf ? { ...cache, state: "degraded" } : cache };
  }
}

async function stateOf(redis: GuardedRedis | null): Promise<RoleState> {
  if (redis === null) return { state: "not_configured" };
  const health = await checkRedis(redis);
  if (!health.reachable) return { state: "unreachable", health };
  return { state: health.lastError === null ? "ok" : "degraded", health };
}
