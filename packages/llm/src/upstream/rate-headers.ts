import { parseDuration, parseNumber, type ReadableHeaders } from "./retry-after.ts";

/** What an endpoint says is left of a limit of the account. */
interface RateHeader {
  /** Null: it did not say. */
  readonly limit: number | null;
  readonly remaining: number;
  /** Until all of it is there again, in milliseconds; null: it did not say. */
  readonly resetMs: number | null;
}

/** As `x-ratelimit-*` says. Null: nothing was said. */
export interface RateHeaders {
  readonly requests: RateHeader | null;
  readonly tokens: RateHeader | null;
}

export const NO_RATE_HEADERS: RateHeaders = { requests: null, tokens: null };

export function readRateHeaders(headers: ReadableHeaders): RateHeaders {
  return { requests: readOne(headers, "requests"), tokens: readOne(headers, "tokens") };
}

function readOne(headers: ReadableHeaders, kind: string): RateHeader | null {
  const remaining = parseNumber(headers.get(`x-ratelimit-remaining-${kind}`));
  if (remaining === null) return null;
  const limit = parseNumber(headers.get(`x-ratelimit-limit-${kind}`));
  const resetMs = parseDuration(headers.get(`x-ratelimit-reset-${kind}`));
  return { limit, remaining: Math.max(0, remaining), resetMs };
}

/** What may still be sent, and how soon there is more. */
export interface Room {
  readonly unit: "requests" | "tokens";
  readonly left: number;
  /** In which one more comes back, in milliseconds. */
  readonly unitMs: number;
}

/**
 * What the limits leave room for, as far as an endpoint tells. It tells when all will be back that is gone; taken one after the other, each
 * unit comes back in its part of that time.
 */
export function roomsOf({ requests, tokens }: RateHeaders): Room[] {
  return [roomOf("requests", requests), roomOf("tokens", tokens)].filter((room) => room !== null);
}

function roomOf(unit: Room["unit"], header: RateHeader | null): Room | null {
  if (header === null || header.limit === null || header.resetMs === null) return null;
  const gone = header.limit - header.remaining;
  return gone > 0 ? { unit, left: header.remaining, unitMs: header.resetMs / gone } : null;
}

/** What is left of the limit that is nearest to its end, from 0 to 1. Null: not known. */
export function leastShare({ requests, tokens }: RateHeaders): number | null {
  const shares = [requests, tokens].flatMap((header) =>
    header === null || header.limit === null || header.limit <= 0 ? [] : [header.remaining / header.limit],
  );
  return shares.length === 0 ? null : Math.min(1, ...shares);
}
