import type { GuardedRedis } from "../../redis/guarded-redis.ts";
import type { CacheReport } from "../cache-report.ts";
import { askRedis } from "./ask-redis.ts";
import { type CacheEventPorts, type CacheLog, type CacheLogLevel, openPorts } from "./cache-events.ts";
import { type CacheStats, type FamilySums, lookUpsOf, type ProcessSums, statsOf } from "./cache-stats.ts";
import { CountingFamilyReport } from "./counting-family-report.ts";
import { HitWindow } from "./hit-window.ts";
import { StatsExchange } from "./stats-exchange.ts";

/** The memory of the process, as far as the report looks into it. */
interface ReportedTier {
  readonly bytes: number;
  readonly maxBytes: number;
  readonly size: number;
  readonly evictions: number;
  /** How many entries of a family there are. */
  sizeOf(family: string): number;
}

export interface ReportOptions {
  /** What all keys begin with. */
  readonly namespace: string;
  /** Null: this process knows of itself alone. */
  readonly redis: GuardedRedis | null;
  /** A function, as the memory tells the report what it evicts and so may be made after it. */
  readonly local: () => ReportedTier;
  readonly log?: CacheLog;
  /** Of the lines HIT, MISS, SAVE, INVALIDATE and STALE. `debug` unless told. */
  readonly logLevel?: CacheLogLevel;
  /** Milliseconds, never going back. The clock of `performance` unless told. */
  readonly clock?: () => number;
}

/** Counts what happens in a cache, tells those who listen, and says what it counted. */
export interface OpenCacheReport extends CacheReport {
  family(name: string): CountingFamilyReport;
  /**
   * The sums of all processes, those of the others as they were within the last five seconds, and what Redis says. Redis missing, the
   * sums of this process. Never rejects.
   */
  stats(): Promise<CacheStats>;
  /** The sums of this process, without asking anyone. */
  own(): CacheStats;
  /** Takes note of how the sums stand, for the rates; done every five seconds anyway. */
  sample(): void;
  close(): Promise<void>;
}

const SAMPLE_MS = 5_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

export function openCacheReport(options: ReportOptions): OpenCacheReport {
  return new Report(options);
}

interface CountedFamily {
  readonly report: CountingFamilyReport;
  readonly minute: HitWindow;
  readonly hour: HitWindow;
}

class Report implements OpenCacheReport {
  readonly #options: ReportOptions;
  readonly #clock: () => number;
  readonly #ports: CacheEventPorts;
  readonly #exchange: StatsExchange | null;
  readonly #families = new Map<string, CountedFamily>();
  readonly #removed = { tag: 0, pattern: 0, clear: 0 };
  readonly #startedAt = Date.now();
  readonly #startedClock: number;
  readonly #timer: NodeJS.Timeout;

  constructor(options: ReportOptions) {
    const { namespace, redis, log = null, logLevel = "debug", clock = () => performance.now() } = options;
    this.#options = options;
    this.#clock = clock;
    this.#startedClock = clock();
    this.#ports = openPorts({ namespace, log, level: logLevel });
    this.#exchange = redis === null ? null : new StatsExchange(redis, namespace);
    this.#timer = setInterval(() => this.#everyFewSeconds(), SAMPLE_MS).unref();
  }

  family(name: string): CountingFamilyReport {
    const known = this.#families.get(name);
    if (known !== undefined) return known.report;
    const report = new CountingFamilyReport(name, this.#ports);
    const minute = new HitWindow(this.#startedClock, MINUTE_MS, SAMPLE_MS);
    const hour = new HitWindow(this.#startedClock, HOUR_MS, MINUTE_MS);
    this.#families.set(name, { report, minute, hour });
    return report;
  }

  invalidatedMany(by: "tag" | "pattern" | "clear", count: number, ms: number): void {
    this.#removed[by] += count;
    if (this.#ports.invalidate.isHeard) this.#ports.invalidate.tellAtLarge({ reason: by, count, ms });
  }

  async stats(): Promise<CacheStats> {
    const { redis, namespace } = this.#options;
    if (redis === null || this.#exchange === null) return this.own();
    const own = this.#sums();
    const [others, findings] = await Promise.all([
      this.#exchange.readOthers(),
      askRedis(redis, namespace),
      this.#exchange.write(own),
    ]);
    return statsOf([own, ...others], findings);
  }

  own(): CacheStats {
    return statsOf([this.#sums()]);
  }

  sample(): void {
    const now = this.#clock();
    for (const { report, minute, hour } of this.#families.values()) {
      const lookUps = lookUpsOf(report.counters);
      minute.sample(now, lookUps);
      hour.sample(now, lookUps);
    }
    for (const port of Object.values(this.#ports)) port.readLevel();
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#exchange?.leave();
  }

  #everyFewSeconds(): void {
    this.sample();
    void this.#exchange?.write(this.#sums());
  }

  #sums(): ProcessSums {
    const now = this.#clock();
    const { bytes, maxBytes, size, evictions } = this.#options.local();
    const families = [...this.#families].map(([name, family]) => [name, this.#sumsOf(family, now)] as const);
    return {
      startedAt: this.#startedAt,
      local: { bytes, maxBytes, entries: size, evictions },
      removed: this.#removed,
      families: Object.fromEntries(families),
    };
  }

  #sumsOf({ report, minute, hour }: CountedFamily, now: number): FamilySums {
    const lookUps = lookUpsOf(report.counters);
    return {
      ...report.counters,
      entries: this.#options.local().sizeOf(report.name),
      lastMinute: minute.since(now, lookUps),
      lastHour: hour.since(now, lookUps),
    };
  }
}
