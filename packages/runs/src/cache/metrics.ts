import type { CacheStats } from "@mythic/shared/cache";
import type { BreakerSnapshot, RedisHealth } from "@mythic/shared/redis";

/** One figure for Prometheus, read when it asks. */
export interface Metric {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge";
  readonly samples: readonly Sample[];
}

interface Sample {
  readonly labels?: Readonly<Record<string, string>>;
  /** Null: not known, so it is left out. */
  readonly value: number | null;
}

/** In Prometheus' text format: https://prometheus.io/docs/instrumenting/exposition_formats/ */
export function renderMetrics(metrics: readonly Metric[]): string {
  return metrics.map(render).join("");
}

function render({ name, help, type, samples }: Metric): string {
  const known = samples.filter(({ value }) => value !== null);
  if (known.length === 0) return "";
  const lines = known.map(({ labels = {}, value }) => `${name}${renderLabels(labels)} ${value}\n`);
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join("")}`;
}

function renderLabels(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

type Family = CacheStats["total"];

/** What one process has to say of its cache. */
export function cacheMetrics({ families, local }: CacheStats): readonly Metric[] {
  const all = Object.entries(families);
  const of = (read: (family: Family) => number) =>
    all.map(([family, counts]) => ({ labels: { family }, value: read(counts) }));
  const by = (label: string, read: (family: Family) => Readonly<Record<string, number>>) =>
    all.flatMap(([family, counts]) =>
      Object.entries(read(counts)).map(([key, value]) => ({ labels: { family, [label]: key }, value })),
    );
  const counter = (name: string, help: string, samples: readonly Sample[]): Metric => {
    return { name: `mythic_cache_${name}_total`, help, type: "counter", samples };
  };
  return [
    counter(
      "hits",
      "Values found, by tier.",
      by("tier", ({ hits }) => hits),
    ),
    counter(
      "misses",
      "Values not found, by reason.",
      by("reason", ({ misses }) => misses),
    ),
    counter(
      "loads",
      "Loads from the store.",
      of(({ loads }) => loads),
    ),
    counter(
      "failed_loads",
      "Loads that failed.",
      of(({ failures }) => failures),
    ),
    counter(
      "load_seconds",
      "Time that loads took together.",
      of(({ loadMs }) => loadMs / 1_000),
    ),
    counter(
      "stale",
      "Values served after their time.",
      of(({ stale }) => stale),
    ),
    counter(
      "coalesced",
      "Callers who shared the load of another.",
      by("where", ({ coalesced }) => coalesced),
    ),
    counter(
      "saves",
      "Values stored, by tier.",
      by("tier", ({ saves }) => saves),
    ),
    counter(
      "not_stored",
      "Values that could not be stored, by reason.",
      by("reason", ({ refused }) => refused),
    ),
    counter(
      "stored_bytes",
      "Bytes put into Redis.",
      of(({ storedBytes }) => storedBytes),
    ),
    counter(
      "raw_bytes",
      "The same before compression.",
      of(({ rawBytes }) => rawBytes),
    ),
    counter(
      "invalidations",
      "Values invalidated one by one.",
      of(({ invalidations }) => invalidations),
    ),
    counter(
      "evictions",
      "Values that had to make room in memory.",
      of(({ evictions }) => evictions),
    ),
    gauge("mythic_cache_memory_bytes", "Bytes in this process's memory.", local.bytes),
    gauge("mythic_cache_memory_entries", "Values in this process's memory.", local.entries),
  ];
}

function gauge(name: string, help: string, value: number): Metric {
  return { name, help, type: "gauge", samples: [{ value }] };
}

const BREAKER_STATES = ["closed", "half-open", "open"] as const;

/** Circuit breakers of the roles of Redis that a process uses. */
export function breakerMetrics(roles: Readonly<Record<string, BreakerSnapshot | null>>): readonly Metric[] {
  const of = (read: (breaker: BreakerSnapshot) => number) =>
    Object.entries(roles).map(([role, breaker]) => ({ labels: { role }, value: breaker && read(breaker) }));
  const counter = (name: string, help: string, read: (breaker: BreakerSnapshot) => number): Metric => {
    return { name: `mythic_redis_breaker_${name}_total`, help, type: "counter", samples: of(read) };
  };
  return [
    {
      name: "mythic_redis_breaker_state",
      help: "0: Redis is asked. 1: it is tried. 2: it is not asked.",
      type: "gauge",
      samples: of(({ state }) => BREAKER_STATES.indexOf(state)),
    },
    counter("opens", "How often Redis was given up.", ({ opens }) => opens),
    counter("timeouts", "Commands that Redis did not answer in time.", ({ timeouts }) => timeouts),
    counter("errors", "Errors that say that Redis cannot serve.", ({ errors }) => errors),
  ];
}

/** What a role's Redis says of itself, with the number of its keys. */
export interface RedisFigures extends RedisHealth {
  readonly keys: number | null;
}

/** What the roles of Redis say of themselves. */
export function redisMetrics(roles: Readonly<Record<string, RedisFigures>>): readonly Metric[] {
  const of = (read: (redis: RedisFigures) => number | null) =>
    Object.entries(roles).map(([role, redis]) => ({ labels: { role }, value: read(redis) }));
  const metric = (
    type: Metric["type"],
    name: string,
    help: string,
    read: (redis: RedisFigures) => number | null,
  ): Metric => ({ name: `mythic_redis_${name}`, help, type, samples: of(read) });
  return [
    metric("gauge", "up", "Whether Redis answers.", ({ reachable }) => Number(reachable)),
    metric("gauge", "latency_seconds", "Of one command.", ({ latencyMs }) => latencyMs && latencyMs / 1_000),
    metric("gauge", "memory_bytes", "Memory used.", ({ usedMemory }) => usedMemory),
    metric("gauge", "max_memory_bytes", "Memory allowed.", ({ maxMemory }) => maxMemory),
    metric("gauge", "keys", "Keys of all kinds.", ({ keys }) => keys),
    metric(
      "counter",
      "keyspace_hits_total",
      "Look-ups of keys that were there.",
      ({ keyspaceHits }) => keyspaceHits,
    ),
    metric(
      "counter",
      "keyspace_misses_total",
      "Look-ups of keys that were not.",
      ({ keyspaceMisses }) => keyspaceMisses,
    ),
    metric("counter", "evicted_keys_total", "Keys that had to make room.", ({ evictedKeys }) => evictedKeys),
  ];
}
