import { randomUUID } from "node:crypto";
import type { GuardedRedis, RedisConnection } from "@mythic/shared/redis";
import type { Redis } from "ioredis";
import { SERVER_TIME } from "../../src/rate-limit/gcra-script.ts";

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;

/** A clock that stands still until it is told. It begins now, as Redis does not keep what is in the past. */
export class DrivenClock {
  #now = Date.now();

  readonly now = (): number => this.#now;

  advance(ms: number): void {
    this.#now += ms;
  }
}

/** A namespace that no other test has. */
export const freshNamespace = (): string => `test-${randomUUID()}`;

/**
 * A real Redis whose scripts go by a clock of the test's own. Keys still expire by the clock of Redis, so what a test charges must take longer to drain
 * than the test.
 */
export function clockedRedis(redis: RedisConnection, clock: DrivenClock): GuardedRedis {
  const connection = {
    evalsha: () => Promise.reject(new Error("NOSCRIPT: so that the whole script comes here.")),
    eval: (lua: string, keys: number, ...rest: readonly string[]) => {
      const driven = lua.replace(SERVER_TIME, "local now = tonumber(ARGV[2])");
      if (driven === lua) throw new Error("The script does not take its time where it should.");
      return redis.eval(driven, keys, ...rest, clock.now());
    },
    del: (key: string) => redis.del(key),
  };
  return {
    address: "",
    connection: redis,
    breaker: {
      state: "closed",
      onChange: () => () => undefined,
      snapshot: () => ({
        state: "closed",
        opens: 0,
        lastError: null,
        refusal: null,
        openedAt: null,
        timeouts: 0,
        errors: 0,
      }),
    },
    run: (commands) => commands(connection as unknown as Redis),
    async close() {
      await redis.quit();
    },
  };
}

/** The same Redis, and how many round trips it was asked for. */
export function counted(redis: GuardedRedis): { readonly redis: GuardedRedis; trips(): number } {
  let trips = 0;
  const run: GuardedRedis["run"] = (commands) => {
    trips += 1;
    return redis.run(commands);
  };
  // With a new script each time, the clocked Redis is asked twice for one thing.
  return { redis: { ...redis, run }, trips: () => Math.ceil(trips / 2) };
}
