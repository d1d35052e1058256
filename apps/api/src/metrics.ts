import type { Store } from "@mythic/runs";
import {
  breakerMetrics,
  cacheMetrics,
  type Metric,
  type RedisFigures,
  type RunCache,
  redisMetrics,
  renderMetrics,
} from "@mythic/runs/cache";
import { checkRedis, type GuardedRedis, primariesOf } from "@mythic/shared/redis";
import { Registry } from "prom-client";
import { withPatience } from "./deadline.ts";
import { HttpFigures } from "./http-figures.ts";
import { LimiterFigures } from "./limiter-figures.ts";
import type { RedisRoles } from "./redis-state.ts";

/** A store that takes longer is left out. */
const STORE_PATIENCE_MS = 900;

export interface MetricsParts {
  readonly store: Store;
  readonly cache: RunCache | null;
  readonly redis: RedisRoles;
}

/** What Prometheus is told: this process's own figures, and those of store and Redis, which every process tells alike. */
export class Metrics {
  readonly http: HttpFigures;
  readonly limiter: LimiterFigures;
  readonly #parts: MetricsParts;
  readonly #registry = new Registry();

  constructor(parts: MetricsParts) {
    this.#parts = parts;
    this.http = new HttpFigures(this.#registry);
    this.limiter = new LimiterFigures(this.#registry);
  }

  get type(): string {
    return this.#registry.contentType;
  }

  /** Whatever does not answer is left out. */
  async text(): Promise<string> {
    const { cache, redis } = this.#parts;
    const [counted, queue, roles] = await Promise.all([
      this.#registry.metrics(),
      this.#queue(),
      figuresOf(redis),
    ]);
    const metrics = [
      ...(cache === null ? [] : cacheMetrics(cache.own())),
      ...breakerMetrics({
        queue: redis.queue?.breaker.snapshot() ?? null,
        cache: redis.cache?.breaker.snapshot() ?? null,
      }),
      ...redisMetrics(roles),
      ...queue,
    ];
    return `${counted}\n${renderMetrics(metrics)}`;
  }

  async #queue(): Promise<readonly Metric[]> {
    const { dispatch } = this.#parts.store;
    const backlog = await withPatience(dispatch.backlog(), STORE_PATIENCE_MS).catch(() => null);
    if (backlog === null) return [];
    const gauge = (name: string, help: string, value: number): Metric => {
      return { name: `mythic_steps_${name}`, help, type: "gauge", samples: [{ value }] };
    };
    return [
      gauge("waiting", "Steps that wait for a worker or for their time.", backlog.pending),
      gauge("running", "Steps that are at work.", backlog.running),
      gauge("oldest_due_seconds", "How long the oldest that is due has waited.", backlog.oldestDueMs / 1_000),
    ];
  }
}

async function figuresOf(redis: RedisRoles): Promise<Readonly<Record<string, RedisFigures>>> {
  const asking = Object.entries(redis).map(async ([role, guard]) => {
    if (guard === null) return [];
    const [health, keys] = await Promise.all([checkRedis(guard), countKeys(guard)]);
    return [[role, { ...health, keys }] as const];
  });
  return Object.fromEntries((await Promise.all(asking)).flat());
}

async function countKeys(redis: GuardedRedis): Promise<number | null> {
  try {
    const counts = await redis.run((connection) =>
      Promise.all(primariesOf(connection).map((server) => server.dbsize())),
    );
    return counts.reduce((sum, count) => sum + count, 0);
  } catch {
    return null;
  }
}
