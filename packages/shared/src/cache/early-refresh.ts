/*
 * A value in demand is loaded anew before its time is up, by one of those who ask for it, chosen by chance and earlier the longer the load takes:
 * Vattani, Chierichetti, Lowenstein: Optimal Probabilistic Cache Stampede Prevention, VLDB 2015.
 */

/** A chance to begin earlier than this many times the load's own time is one in 22,000. */
const LONGEST_LEAD = 10;

/** Before this moment nobody has to draw lots. */
export function refreshFrom(expiresAt: number, loadMs: number): number {
  return expiresAt - LONGEST_LEAD * loadMs;
}

/** Whether the one who asks is to load the value anew. `draw` is from 0 to less than 1. */
export function isRefreshDue(
  entry: { readonly expiresAt: number; readonly loadMs: number },
  now: number,
  draw: number = Math.random(),
): boolean {
  return now - entry.loadMs * Math.log(1 - draw) >= entry.expiresAt;
}
