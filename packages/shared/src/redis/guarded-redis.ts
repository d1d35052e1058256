import { Breaker, type CircuitBreaker } from "./circuit-breaker.ts";
import { closeRedis } from "./close-redis.ts";
import { type ConnectOptions, connectWith, lastRedisError } from "./connect-redis.ts";
import { CONNECTION_POLICIES } from "./connection-policies.ts";
import { Deadlines } from "./deadlines.ts";
import { GatheredWrites } from "./gathered-writes.ts";
import type { RedisAddress } from "./redis-address.ts";
import type { RedisConnection } from "./redis-connection.ts";
import { type RedisError, RedisTimeout, RedisUnavailable, toRedisError } from "./redis-error.ts";
import { refreshServers, serversOf } from "./servers.ts";
import { swallowedError, verdictOf } from "./verdict.ts";

/** A connection with its circuit breaker: what cache and limiter take. */
export interface GuardedRedis {
  readonly address: RedisAddress;
  /** For its events. Commands that are sent past `run` have no time-out and count for nothing. */
  readonly connection: RedisConnection;
  /** Closed while there is a connection and Redis answers. */
  readonly breaker: CircuitBreaker;
  /**
   * Runs commands, and nothing else: its errors are taken for those of Redis.
   *
   * Settles within the time-out for commands, as far as the event loop lets it. What went wrong is counted by the breaker, and
   * so are the errors that a pipeline resolves with.
   *
   * With `isUrgent: false` they may leave two milliseconds later, together with others: for replies that nobody waits for.
   *
   * @throws RedisUnavailable at once, while the breaker is not closed
   * @throws RedisTimeout
   * @throws RedisError for all else that Redis or the connection complains of
   */
  run<Reply>(
    commands: (connection: RedisConnection) => Promise<Reply>,
    options?: { readonly isUrgent: boolean },
  ): Promise<Reply>;
  /** Ends the connection for good; never rejects. */
  close(): Promise<void>;
}

export interface GuardOptions extends ConnectOptions {
  /** 200 unless told. */
  readonly commandTimeoutMs?: number;
  /** How long after it opened, or after a probe that failed, the breaker lets the next probe out. 5,000 unless told. */
  readonly probeAfterMs?: number;
  /** Milliseconds since 1970. */
  readonly clock?: () => number;
}

/**
 * Opens a guarded connection. Returns at once, with an open breaker that closes when Redis has answered.
 *
 * @throws TypeError when the address is not that of a Redis
 */
export function openGuardedRedis(address: RedisAddress, options: GuardOptions = {}): GuardedRedis {
  return new Guard(address, options);
}

class Guard implements GuardedRedis {
  readonly address: RedisAddress;
  readonly connection: RedisConnection;
  readonly #breaker: Breaker;
  readonly #deadlines: Deadlines;
  readonly #writes: GatheredWrites;
  readonly #timeoutMs: number;
  readonly #probeAfterMs: number;
  #nextProbe: NodeJS.Timeout | null = null;

  constructor(address: RedisAddress, options: GuardOptions) {
    const { commandTimeoutMs = 200, probeAfterMs = 5_000, clock = Date.now, ...connectOptions } = options;
    this.address = address;
    this.#timeoutMs = commandTimeoutMs;
    this.#probeAfterMs = probeAfterMs;
    this.#breaker = new Breaker(clock);
    this.#deadlines = new Deadlines(commandTimeoutMs, () => this.#timedOut());
    // The deadlines here are cheaper than a timer for each command, and patient while the event loop is late.
    const policy = { ...CONNECTION_POLICIES.cache, commandTimeout: undefined };
    this.connection = connectWith(policy, address, { connectionName: "mythic:cache", ...connectOptions });
    this.#writes = new GatheredWrites(this.connection);
    this.connection.on("ready", () => void this.#probe());
    this.connection.on("close", () => this.#breaker.open(this.#whyNoConnection()));
    this.#breaker.onChange((state) => {
      if (state === "open") this.#probeLater();
    });
  }

  get breaker(): CircuitBreaker {
    return this.#breaker;
  }

  run<Reply>(
    commands: (connection: RedisConnection) => Promise<Reply>,
    { isUrgent } = { isUrgent: true },
  ): Promise<Reply> {
    if (this.#breaker.state !== "closed") return Promise.reject(this.#unavailable());
    this.#writes.gather({ isUrgent });
    return this.#inTime(commands);
  }

  async close(): Promise<void> {
    this.#breaker.open("The connection to Redis was closed.");
    await closeRedis(this.connection);
    if (this.#nextProbe !== null) clearTimeout(this.#nextProbe);
  }

  #inTime<Reply>(commands: (connection: RedisConnection) => Promise<Reply>): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const replies = commands(this.connection);
      const { round } = this.#deadlines;
      const place = round.enter(reject);
      replies.then(
        (reply) => {
          if (!this.#deadlines.leave(round, place)) return;
          this.#answered(reply);
          resolve(reply);
        },
        (error) => {
          if (this.#deadlines.leave(round, place)) reject(this.#failed(error));
        },
      );
    });
  }

  #answered(reply: unknown): void {
    const error = swallowedError(reply);
    if (error === null) this.#breaker.answered();
    else this.#failed(error);
  }

  /** Counts an error and gives the one to reject with. */
  #failed(error: unknown): unknown {
    const verdict = verdictOf(error);
    if (verdict === "foreign") return error;
    const known = toRedisError(error);
    if (verdict === "down") this.#breaker.erred(known.message);
    else if (verdict === "refused") this.#breaker.refused(known.message);
    else this.#breaker.answered();
    return known;
  }

  #timedOut(): RedisError {
    const error = new RedisTimeout(this.#timeoutMs);
    this.#breaker.timedOut(error.message);
    return error;
  }

  #unavailable(): RedisUnavailable {
    return new RedisUnavailable(this.#breaker.lastError ?? this.#whyNoConnection());
  }

  #whyNoConnection(): string {
    return lastRedisError(this.connection) ?? "There is no connection to Redis.";
  }

  #probeLater(): void {
    if (this.#nextProbe !== null) clearTimeout(this.#nextProbe);
    this.#nextProbe = setTimeout(() => void this.#probe(), this.#probeAfterMs).unref();
  }

  /** Asks every server, as one that is frozen makes the others worth little. A new connection is probed at once. */
  async #probe(): Promise<void> {
    if (this.#breaker.state !== "open" || this.connection.status !== "ready") return;
    this.#breaker.probing();
    try {
      await this.#inTime((connection) => Promise.all(serversOf(connection).map((server) => server.ping())));
      this.#breaker.probePassed();
    } catch (error) {
      refreshServers(this.connection);
      this.#breaker.probeFailed(toRedisError(error).message);
    }
  }
}
