import type { RefusalReason } from "./cache-report.ts";
import { refreshFrom } from "./early-refresh.ts";
import { encodeEnvelope, type Payload, packPayload } from "./envelope.ts";
import { deepFreeze } from "./freeze.ts";
import type { LocalEntry } from "./local-tier.ts";
import type { AnyFamily } from "./location.ts";
import { parseValue } from "./read-value.ts";
import type { ServerClock } from "./server-clock.ts";

/** A value made ready to be stored. */
export interface SealedValue {
  readonly entry: Omit<LocalEntry, "tags">;
  /** Null when it is to be remembered that there is no value. */
  readonly payload: Payload | null;
  /** How long Redis keeps it. */
  readonly ttlMs: number;
}

export interface SealOptions {
  readonly now: number;
  /** Exactly so long; else the family's TTL, with jitter. */
  readonly ttlMs?: number | undefined;
  readonly loadMs?: number;
  readonly etag?: string | null;
}

/**
 * Makes a value ready to be stored, or says why it cannot be. `undefined` stands for the knowledge that there is none.
 *
 * @throws RangeError when the TTL is no finite number
 */
export function sealValue(
  family: AnyFamily,
  value: unknown,
  options: SealOptions,
): SealedValue | RefusalReason {
  const json = value === undefined ? null : toJson(value);
  if (json === undefined) return "schema";
  const parsed = json === null ? { success: true as const, data: undefined } : parseValue(family, json);
  if (!parsed.success) return "schema";
  const payload = json === null ? null : packPayload(json);
  if (payload !== null && payload.bytes.length > family.maxBytes) return "size";
  const { now, loadMs = 0, etag = null } = options;
  const freshMs =
    options.ttlMs ?? withJitter(family, payload === null ? (family.negativeTtlMs ?? 0) : family.ttlMs);
  if (!Number.isFinite(freshMs)) throw new RangeError(`${freshMs} is no TTL for a value of ${family.name}.`);
  const expiresAt = now + freshMs;
  const entry = {
    value: deepFreeze(parsed.data),
    expiresAt,
    staleUntil: expiresAt + family.graceMs,
    refreshFrom: refreshFrom(family, expiresAt, loadMs),
    loadMs,
    stamp: Math.random(),
    revision: payload === null ? Number.NEGATIVE_INFINITY : revisionOf(family, parsed.data),
    etag,
    isAlone: false,
    bytes: payload?.rawBytes ?? 0,
  };
  const ttlMs = Math.ceil(freshMs + family.graceMs + family.lingerMs);
  return { entry, payload, ttlMs: Math.max(1, ttlMs) };
}

/** The envelope of a value in two parts, between which the tokens of its tags belong. */
export function envelopeOf(
  { entry, payload }: SealedValue,
  tagCount: number,
  time: ServerClock,
): [Buffer, Buffer] {
  const { revision, stamp, loadMs, etag } = entry;
  const freshUntil = time.toServer(entry.expiresAt);
  const servedUntil = time.toServer(entry.staleUntil);
  return encodeEnvelope({ freshUntil, servedUntil, revision, stamp, loadMs, etag }, tagCount, payload);
}

/** Undefined for what JSON cannot express. */
function toJson(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined;
  }
}

/** Only ever shortens, so that a TTL is a promise. */
function withJitter({ jitter }: AnyFamily, ttlMs: number): number {
  return ttlMs * (1 - jitter * Math.random());
}

function revisionOf(family: AnyFamily, value: unknown): number {
  // The value passed the family's schema, so it is what the function takes.
  return family.revision === null ? Number.NEGATIVE_INFINITY : family.revision(value as never);
}
