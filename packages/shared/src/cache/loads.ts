import type { CacheReport } from "./cache-report.ts";
import { Flight, type FlightPlan } from "./flight.ts";
import type { Location } from "./location.ts";
import type { Tiers } from "./tiers.ts";
import { kindOf, withKind } from "./value-key.ts";

export interface LoadsOptions {
  readonly tiers: Tiers;
  readonly report: CacheReport;
  readonly leaseMs: number;
  readonly failureTtlMs: number;
}

/** More errors are not remembered. */
const MOST_FAILURES = 1_000;

interface Failure {
  readonly error: unknown;
  readonly until: number;
  readonly tagKeys: readonly string[];
}

/** The loads of this process that others may join. */
export class Loads {
  readonly #options: LoadsOptions;
  readonly #flights = new Map<string, Flight>();
  readonly #failures = new Map<string, Failure>();
  readonly #closing = new AbortController();

  constructor(options: LoadsOptions) {
    this.#options = options;
  }

  /** The load of a value that is under way, by the value's full Redis key. */
  get(key: string): Flight | undefined {
    return this.#flights.get(key);
  }

  /** The load that callers who come now may join. One that began too long ago for that, or before something was stored here, goes on without them. */
  joinable(key: string): Flight | undefined {
    const flight = this.#flights.get(key);
    if (flight === undefined) return undefined;
    if (!flight.isOutrun && this.#options.tiers.isHeardSince(flight.begunAt)) return flight;
    flight.leaveBehind();
    return undefined;
  }

  begin(plan: FlightPlan): Flight {
    const { tiers, report, leaseMs, failureTtlMs } = this.#options;
    const flight = new Flight(plan, {
      tiers,
      report: report.family(plan.location.family.name),
      leaseMs,
      failureTtlMs,
      signal: this.#closing.signal,
      recentFailure: (key) => this.#recentFailure(key),
      failed: (location, error) => this.#remember(location, error),
      detach: (ended) => this.#detach(ended),
    });
    this.#flights.set(plan.location.key, flight);
    const detach = () => this.#detach(flight);
    flight.result.then(detach, detach);
    return flight;
  }

  /** This process invalidated a value. */
  fence(key: string): void {
    this.#failures.delete(key);
    this.#flights.get(key)?.fence();
  }

  /** This process stored a value of this revision. */
  outrun(key: string, revision: number): void {
    this.#flights.get(key)?.outrun(revision);
  }

  /** This process invalidated a tag. */
  fenceTag(tagKey: string): void {
    for (const flight of this.#flights.values()) {
      if (flight.location.tagKeys.includes(tagKey)) flight.fence();
    }
    for (const [key, { tagKeys }] of this.#failures) if (tagKeys.includes(tagKey)) this.#failures.delete(key);
  }

  /** This process invalidated the values that the function picks. */
  fenceMatching(picks: (key: string) => boolean): void {
    for (const [key, flight] of this.#flights) if (picks(key)) flight.fence();
    for (const key of this.#failures.keys()) if (picks(key)) this.#failures.delete(key);
  }

  /** Something happened in Redis to these keys. */
  touch(keys: readonly string[]): void {
    if (this.#flights.size === 0) return;
    for (const key of keys) {
      if (kindOf(key) === "t") this.#touchTagged(key);
      else this.#flights.get(withKind(key, "v"))?.touch();
    }
  }

  touchAll(): void {
    for (const flight of this.#flights.values()) flight.touch();
  }

  close(): void {
    this.#closing.abort();
    for (const flight of this.#flights.values()) flight.wake();
  }

  #touchTagged(tagKey: string): void {
    for (const flight of this.#flights.values()) {
      if (flight.location.tagKeys.includes(tagKey)) flight.touch();
    }
  }

  #detach(flight: Flight): void {
    const { key } = flight.location;
    if (this.#flights.get(key) === flight) this.#flights.delete(key);
  }

  #recentFailure(key: string): { readonly error: unknown } | undefined {
    const failure = this.#failures.get(key);
    if (failure === undefined) return undefined;
    if (this.#options.tiers.now() < failure.until) return failure;
    this.#failures.delete(key);
    return undefined;
  }

  #remember({ key, tagKeys }: Location, error: unknown): void {
    if (this.#failures.size >= MOST_FAILURES) this.#failures.clear();
    const until = this.#options.tiers.now() + this.#options.failureTtlMs;
    this.#failures.set(key, { error, until, tagKeys });
  }
}
