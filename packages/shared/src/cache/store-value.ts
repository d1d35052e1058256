import type { FamilyReport } from "./cache-report.ts";
import type { Invalidator } from "./invalidator.ts";
import type { Loads } from "./loads.ts";
import type { Location } from "./location.ts";
import { envelopeOf, type SealedValue, sealValue } from "./seal-value.ts";
import type { Tiers } from "./tiers.ts";
import { withKind } from "./value-key.ts";

export interface StoreOptions {
  readonly tiers: Tiers;
  readonly loads: Loads;
  readonly invalidator: Invalidator;
  readonly report: FamilyReport;
}

/** Stores a value that a caller has, wherever it can be stored, and answers whether it is. Never rejects. */
export async function storeValue(
  options: StoreOptions,
  location: Location,
  { value, ttlMs }: { readonly value: unknown; readonly ttlMs: number | undefined },
): Promise<boolean> {
  const { tiers, loads, invalidator, report } = options;
  const { family, key } = location;
  const startedAt = performance.now();
  const sealed = value === undefined ? "schema" : sealValue(family, value, { now: tiers.now(), ttlMs });
  if (typeof sealed === "string") {
    report.refused(key, sealed);
    await invalidator.remove(location);
    return false;
  }
  // A value with a revision competes with the one that is being loaded; any other replaces it.
  if (family.revision === null) loads.fence(key);
  const tier = await storeInRedis(tiers, location, sealed);
  if (family.revision !== null) loads.outrun(key, sealed.entry.revision);
  if (tier === null || (tier === "l1" && !tiers.keepAlone(location, sealed, false))) {
    report.refused(key, "revision");
    return false;
  }
  const { payload } = sealed;
  const ms = performance.now() - startedAt;
  report.saved(key, { tier, bytes: payload?.bytes.length ?? 0, rawBytes: payload?.rawBytes ?? 0, ms });
  return true;
}

/** `l1` when Redis did not take it; null when it has a revision that is not lower. */
async function storeInRedis(
  tiers: Tiers,
  location: Location,
  sealed: SealedValue,
): Promise<"redis" | "l1" | null> {
  const { key, tagKeys } = location;
  const redis = tiers.open;
  if (redis === null) {
    tiers.access?.note({ kind: "value", key });
    return "l1";
  }
  const mark = tiers.beginRead(location);
  try {
    const tokens = await redis.store(location, envelopeOf(sealed, tagKeys.length, tiers.time), sealed.ttlMs);
    if (tokens === null) {
      tiers.endRead(mark);
      tiers.drop(key);
      return null;
    }
    tiers.keepStored(location, sealed, { mark, tokens });
    tiers.feed.publish([key, withKind(key, "l")]);
    return "redis";
  } catch {
    tiers.endRead(mark);
    // What Redis holds is out of date from now on.
    tiers.access?.note({ kind: "value", key });
    return "l1";
  }
}
