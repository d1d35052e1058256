import type { FamilyReport } from "./cache-report.ts";
import type { Flight } from "./flight.ts";
import { CacheLoadTimeout } from "./load-error.ts";
import type { LocalEntry } from "./local-tier.ts";

export interface AwaitOptions {
  readonly report: FamilyReport;
  readonly now: () => number;
  /** Ends the wait of this caller, not the load. */
  readonly signal: AbortSignal | undefined;
}

/**
 * Waits for a load as long as its family allows, and serves the value past its time, if there is one, when the source fails or is slow.
 *
 * @throws CacheLoadTimeout, or the error of the load
 */
export async function awaitLoad(flight: Flight, { report, now, signal }: AwaitOptions): Promise<unknown> {
  const { family, key } = flight.location;
  const staleNow = () => withinGrace(flight.stale, now());
  const waitMs = limitOf(family, staleNow() !== null);
  try {
    const outcome = await within(flight.result, waitMs, signal);
    if (outcome !== LATE) return outcome;
  } catch (error) {
    if (signal?.aborted) throw error;
    const stale = staleNow();
    if (stale === null) throw error;
    report.staleServed(key, "failure");
    return stale.value;
  }
  const stale = staleNow();
  if (stale === null) throw new CacheLoadTimeout(family.name, waitMs ?? 0);
  report.staleServed(key, "slow");
  return stale.value;
}

function limitOf(
  { softTimeoutMs, hardTimeoutMs }: Flight["location"]["family"],
  hasStale: boolean,
): number | null {
  if (!hasStale || softTimeoutMs === null) return hardTimeoutMs;
  return hardTimeoutMs === null ? softTimeoutMs : Math.min(softTimeoutMs, hardTimeoutMs);
}

function withinGrace(stale: LocalEntry | null, now: number): LocalEntry | null {
  return stale !== null && now < stale.staleUntil ? stale : null;
}

const LATE = Symbol("late");

/** LATE when the time is up first. */
async function within(
  result: Promise<unknown>,
  milliseconds: number | null,
  signal: AbortSignal | undefined,
): Promise<unknown> {
  if (milliseconds === null && signal === undefined) return await result;
  signal?.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  const timer = milliseconds === null ? null : setTimeout(resolve, milliseconds, LATE);
  const abort = () => reject(signal?.reason);
  signal?.addEventListener("abort", abort);
  try {
    return await Promise.race([result, promise]);
  } finally {
    if (timer !== null) clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}
