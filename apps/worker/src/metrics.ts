import type { StepKind, WakeUpOutcome } from "@mythic/runs";
import { breakerMetrics, type Caching, cacheMetrics, renderMetrics } from "@mythic/runs/cache";
import { Histogram, Registry } from "prom-client";

export interface WorkedStep {
  readonly kind: StepKind;
  readonly state: WakeUpOutcome["state"];
  readonly ms: number;
}

/** What Prometheus is told of this worker. What the store and Redis hold, the API tells. */
export class Metrics {
  readonly #caching: Pick<Caching, "cache" | "redis">;
  readonly #registry = new Registry();
  readonly #steps: Histogram<"kind" | "state">;

  constructor(caching: Pick<Caching, "cache" | "redis">) {
    this.#caching = caching;
    this.#steps = new Histogram({
      name: "mythic_step_seconds",
      help: "How long work on steps took; those that were cut short or belong to someone else by now are skipped.",
      labelNames: ["kind", "state"],
      buckets: [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300],
      registers: [this.#registry],
    });
  }

  get type(): string {
    return this.#registry.contentType;
  }

  countStep({ kind, state, ms }: WorkedStep): void {
    this.#steps.observe({ kind, state }, ms / 1_000);
  }

  async text(): Promise<string> {
    const { cache, redis } = this.#caching;
    const metrics = [
      ...(cache === null ? [] : cacheMetrics(cache.own())),
      ...breakerMetrics({ cache: redis?.breaker.snapshot() ?? null }),
    ];
    return `${await this.#registry.metrics()}\n${renderMetrics(metrics)}`;
  }
}
