/** The part of `Headers` that is read. */
export interface ReadableHeaders {
  get(name: string): string | null;
}

/**
 * How long an endpoint asks to wait, in milliseconds; null when it does not say. `retry-after-ms` beats `retry-after` (seconds or a
 * date), which beats the rate-limit headers, whose times (`1m30s`, `120ms`) count where nothing remains.
 */
export function readRetryAfter(headers: ReadableHeaders | undefined, now: Date): number | null {
  if (headers === undefined) return null;
  return (
    atLeastZero(parseNumber(headers.get("retry-after-ms"))) ??
    readSecondsOrDate(headers.get("retry-after"), now) ??
    readResets(headers)
  );
}

function readSecondsOrDate(value: string | null, now: Date): number | null {
  const seconds = parseNumber(value);
  if (seconds !== null) return atLeastZero(seconds * 1000);
  const date = value === null ? Number.NaN : Date.parse(value);
  return Number.isNaN(date) ? null : Math.max(0, date - now.getTime());
}

function readResets(headers: ReadableHeaders): number | null {
  const limits = ["requests", "tokens"].map((kind) => ({
    usedUp: parseNumber(headers.get(`x-ratelimit-remaining-${kind}`)) === 0,
    resetMs: parseDuration(headers.get(`x-ratelimit-reset-${kind}`)),
  }));
  const usedUp = limits.filter((limit) => limit.usedUp);
  const times = (usedUp.length > 0 ? usedUp : limits)
    .map((limit) => limit.resetMs)
    .filter((resetMs) => resetMs !== null);
  return times.length === 0 ? null : Math.max(...times);
}

const UNIT_MS: Readonly<Record<string, number>> = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1 };

/** `6m0s`, `1h2m3.5s`, `120ms`, or seconds as a bare number. */
export function parseDuration(value: string | null): number | null {
  const seconds = parseNumber(value);
  if (seconds !== null) return atLeastZero(seconds * 1000);
  if (value === null || !/^(?:\d+(?:\.\d+)?(?:ms|[dhms]))+$/.test(value)) return null;
  let total = 0;
  for (const [, amount, unit = ""] of value.matchAll(/(\d+(?:\.\d+)?)(ms|[dhms])/g)) {
    total += Number(amount) * (UNIT_MS[unit] ?? 0);
  }
  return Math.ceil(total);
}

export function parseNumber(value: string | null): number | null {
  return value !== null && /^\s*-?\d+(?:\.\d+)?\s*$/.test(value) ? Number(value) : null;
}

function atLeastZero(milliseconds: number | null): number | null {
  return milliseconds === null ? null : Math.max(0, Math.ceil(milliseconds));
}
