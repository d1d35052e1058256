import type { RedisHealth } from "@mythic/shared/redis";
import { withPatience } from "./deadline.ts";

/** Asks one Redis how it is. Null: none is configured. */
export type RedisCheck = (() => Promise<RedisHealth>) | null;

export type RoleState =
  | { readonly state: "not_configured" }
  | { readonly state: "unreachable" | "ok"; readonly health: RedisHealth | null };

export interface RedisStates {
  readonly queue: RoleState;
  readonly cache: RoleState;
}

/** How long an answer is good for, so that many who ask cost one question. */
const FRESH_MS = 1_000;
/** Whoever asks about health is answered within a second. */
const PATIENCE_MS = 950;

/** Knows how both roles of Redis are, frozen ones included. */
export class RedisWatch {
  readonly #checks: { readonly queue: RedisCheck; readonly cache: RedisCheck };
  readonly #now: () => number;
  #asked: { readonly at: number; readonly states: Promise<RedisStates> } | null = null;

  constructor(checks: { readonly queue: RedisCheck; readonly cache: RedisCheck }, now: () => number) {
    this.#checks = checks;
    this.#now = now;
  }

  /** Never rejects. */
  states(): Promise<RedisStates> {
    const now = this.#now();
    if (this.#asked === null || now - this.#asked.at >= FRESH_MS) {
      this.#asked = { at: now, states: this.#ask() };
    }
    return this.#asked.states;
  }

  async #ask(): Promise<RedisStates> {
    const [queue, cache] = await Promise.all([stateOf(this.#checks.queue), stateOf(this.#checks.cache)]);
    return { queue, cache };
  }
}

async function stateOf(check: RedisCheck): Promise<RoleState> {
  if (check === null) return { state: "not_configured" };
  try {
    const health = await withPatience(check(), PATIENCE_MS);
    return { state: health.reachable ? "ok" : "unreachable", health };
  } catch {
    return { state: "unreachable", health: null };
  }
}
