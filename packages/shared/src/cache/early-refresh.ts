/*
 * A value in demand is loaded anew before its time is up, by one of those who ask for it, chosen by chance and earlier the longer the load takes:
 * Vattani, Chierichetti, Lowenstein: Optimal Probabilistic Cache Stampede Prevention, VLDB 2015.
 */

import type { AnyFamily } from "./location.ts";

/** A chance to begin earlier than this many times the load's own time is one in 22,000. */
const LONGEST_LEAD = 10;

/** Before this moment a hit need not look whether a refresh is due. Infinite when none ever is. */
export function refreshFrom(
  { earlyRefresh, refreshAlongMs }: Pick<AnyFamily, "earlyRefresh" | "refreshAlongMs">,
  expiresAt: number,
  loadMs: number,
): number {
  const leadMs = Math.max(earlyRefresh ? LONGEST_LEAD * loadMs : 0, refreshAlongMs);
  return leadMs > 0 ? expiresAt - leadMs : Number.POSITIVE_INFINITY;
}

/** Whether the one who asks is to load the value anew. `draw` is from 0 to less than 1. */
export function isRefreshDrawn(
  entry: { readonly expiresAt: number; readonly loadMs: number },
  now: number,
  draw: number = Math.random(),
): boolean {
  return now - entry.loadMs * Math.log(1 - draw) >= entry.expiresAt;
}
