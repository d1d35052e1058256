import type { Found, FoundIn } from "@mythic/runs/cache";
import type { RequestRecord } from "./request-record.ts";

/** RFC 9211. A value that another caller was loading just then counts as found in Redis, too. */
const CACHE_STATUS: Readonly<Record<FoundIn, string>> = {
  memory: "mythic; hit; detail=memory",
  redis: "mythic; hit; detail=redis",
  stale: "mythic; hit; detail=stale",
  store: "mythic; fwd=miss",
  uncached: "mythic; fwd=bypass",
};

/** Waits for something that may be in the cache, and has the answer's headers say where it was found and how long that took. */
export async function cached<Value>(
  record: RequestRecord,
  finding: Found<Value> | Promise<Found<Value>>,
): Promise<Value | null> {
  const begunAt = performance.now();
  const found = await finding;
  record.took("cache", performance.now() - begunAt);
  record.addHeaders({ "cache-status": CACHE_STATUS[found.in] });
  return found.value;
}

/** From the nearest to the farthest. */
const PLACES: readonly FoundIn[] = ["memory", "redis", "stale", "store", "uncached"];

/** Waits for several things, which were found where the farthest of them was. Null when one of them is not there. */
export async function together<Value>(
  findings: readonly Promise<Found<Value>>[],
): Promise<Found<readonly Value[]>> {
  const found = await Promise.all(findings);
  const values = found.flatMap(({ value }) => (value === null ? [] : [value]));
  const farthest = PLACES.findLast((place) => found.some((one) => one.in === place)) ?? "memory";
  return { value: values.length === found.length ? values : null, in: farthest };
}
