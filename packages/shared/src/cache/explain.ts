import { decodeEnvelope, type Envelope } from "./envelope.ts";
import type { LocalEntry } from "./local-tier.ts";
import type { Tiers } from "./tiers.ts";
import { parseKey, withKind } from "./value-key.ts";

/** What is known of a value, but not the value. Times in milliseconds from now. */
export interface Explanation {
  /** The full Redis key. */
  readonly key: string;
  readonly family: string;
  /** Whose the value is, as it stands in the key. */
  readonly scope: string;
  /** In the memory of this process. */
  readonly local: StoredValue | null;
  readonly redis: RedisValue | "absent" | "unreadable" | "not asked";
  /** How long the lease of whoever is loading it lasts. */
  readonly leaseMs: number | null;
  /** Whether this process is loading it, or waits for another one to do so. */
  readonly isLoadingHere: boolean;
  /** How long the error of the last load stands for others. */
  readonly failureMs: number | null;
}

interface StoredValue {
  /** Fresh for so long; past its time when not above 0. */
  readonly freshMs: number;
  readonly servedMs: number;
  /** Before compression. */
  readonly rawBytes: number;
  readonly loadMs: number;
  readonly revision: number | null;
  readonly etag: string | null;
  readonly tags: number;
  /** It is known that there is no value. */
  readonly isNegative: boolean;
}

interface RedisValue extends StoredValue {
  readonly bytes: number;
  readonly isCompressed: boolean;
}

export interface Explained {
  /** The full Redis key of a value. */
  readonly key: string;
  readonly isLoadingHere: boolean;
}

/** Tells what is known of a value. Never rejects. */
export async function explain(tiers: Tiers, { key, isLoadingHere }: Explained): Promise<Explanation> {
  const parts = parseKey(key);
  const entry = tiers.local?.get(key);
  const base = {
    key,
    family: parts?.family ?? "",
    scope: parts?.scope ?? "",
    local: entry === undefined ? null : describeEntry(entry, tiers.now()),
    isLoadingHere,
  };
  const { access } = tiers;
  if (access === null || tiers.open === null)
    return { ...base, redis: "not asked", leaseMs: null, failureMs: null };
  try {
    const [bytes, lease, failure] = await access.run((redis) =>
      Promise.all([redis.getBuffer(key), redis.pttl(withKind(key, "l")), redis.pttl(withKind(key, "e"))]),
    );
    const redis = bytes === null ? "absent" : describeBytes(bytes, tiers.time.toServer(tiers.now()));
    return { ...base, redis, leaseMs: positive(lease), failureMs: positive(failure) };
  } catch {
    return { ...base, redis: "not asked", leaseMs: null, failureMs: null };
  }
}

function describeEntry(entry: LocalEntry, now: number): StoredValue {
  return {
    freshMs: entry.expiresAt - now,
    servedMs: entry.staleUntil - now,
    rawBytes: entry.bytes,
    loadMs: entry.loadMs,
    revision: finite(entry.revision),
    etag: entry.etag,
    tags: entry.tags.length,
    isNegative: entry.value === undefined,
  };
}

function describeBytes(bytes: Buffer, now: number): RedisValue | "unreadable" {
  const envelope: Envelope | null = decodeEnvelope(bytes);
  if (envelope === null) return "unreadable";
  const { freshUntil, servedUntil, rawBytes, loadMs, revision, etag, tagCount, json, compressed } = envelope;
  return {
    freshMs: freshUntil - now,
    servedMs: servedUntil - now,
    rawBytes,
    loadMs,
    revision: finite(revision),
    etag,
    tags: tagCount,
    isNegative: json === null,
    bytes: bytes.length,
    isCompressed: compressed,
  };
}

/** PTTL answers -2 for a key that is not there. */
const positive = (milliseconds: number): number | null => (milliseconds > 0 ? milliseconds : null);

const finite = (revision: number): number | null => (Number.isFinite(revision) ? revision : null);
