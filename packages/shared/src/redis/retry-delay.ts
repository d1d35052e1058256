const MOST_RETRY_MS = 2_000;

/** 50 ms, doubling up to 2 s, with jitter so that many processes do not come back at the same moment. */
export function retryDelay(attempt: number): number {
  const ceiling = Math.min(MOST_RETRY_MS, 50 * 2 ** Math.min(attempt, 10));
  return Math.round(ceiling * (0.5 + Math.random() / 2));
}
