import type { MissReason } from "./cache-report.ts";
import { refreshFrom } from "./early-refresh.ts";
import { decodeEnvelope, type Envelope, HEADER_BYTES, STAMP_AT } from "./envelope.ts";
import type { LocalEntry, LocalTag } from "./local-tier.ts";
import type { AnyFamily, Location } from "./location.ts";
import type { ServerClock } from "./server-clock.ts";
import type { TagTable } from "./tag-table.ts";
import { TOKEN_LENGTH } from "./token.ts";

/** What Redis answered: the envelope of a value, and the tokens that its tags have now, one after the other. */
export interface Reply {
  readonly bytes: Buffer | null;
  readonly tokens: string;
}

/** The value alone, or the value and the tokens of its tags. */
export type RawReply = Buffer | null | readonly (Buffer | null)[];

export function toReply(raw: RawReply): Reply {
  if (raw === null || Buffer.isBuffer(raw)) return { bytes: raw, tokens: "" };
  return { bytes: raw[0] ?? null, tokens: joinTokens(raw.slice(1)) };
}

/** A token that is not there makes the whole shorter, and so equal to none that a value was stored with. */
export function joinTokens(tokens: readonly (Buffer | null)[]): string {
  let text = "";
  for (const token of tokens) if (token !== null) text += token.toString("latin1");
  return text;
}

/** A value that may be used, or none, and why. */
export type Found =
  | { readonly isFresh: true; readonly entry: LocalEntry }
  | {
      readonly isFresh: false;
      readonly reason: MissReason;
      /** A value past its time and within its grace. */
      readonly stale: LocalEntry | null;
      /** The stamp of the value that is in Redis and of no use, as it stands in the envelope. */
      readonly seen: Buffer | null;
    };

export interface ReaderOptions {
  readonly now: () => number;
  readonly time: ServerClock;
  /** Null when nothing is kept here. */
  readonly tags: TagTable | null;
}

/** Judges what Redis holds. */
export class ValueReader {
  readonly #options: ReaderOptions;

  constructor(options: ReaderOptions) {
    this.#options = options;
  }

  read({ family, tagKeys }: Location, { bytes, tokens }: Reply): Found {
    if (bytes === null) return miss("absent");
    const envelope = decodeEnvelope(bytes);
    const seen = () =>
      bytes.length < HEADER_BYTES ? null : Buffer.from(bytes.subarray(STAMP_AT, STAMP_AT + 8));
    if (envelope === null) return miss("format", seen());
    if (envelope.tagCount !== tagKeys.length || envelope.tokens !== tokens) return miss("tag", seen());
    const entry = this.#toEntry(family, envelope, tagKeys);
    if (entry === null) return miss("schema", seen());
    const now = this.#options.now();
    if (now < entry.expiresAt) return { isFresh: true, entry };
    return miss("expired", seen(), now < entry.staleUntil ? entry : null);
  }

  #toEntry(family: AnyFamily, envelope: Envelope, tagKeys: readonly string[]): LocalEntry | null {
    const { time, tags } = this.#options;
    const { json, loadMs, stamp, revision, etag, rawBytes } = envelope;
    const parsed = json === null ? { success: true as const, data: undefined } : parseValue(family, json);
    if (!parsed.success) return null;
    const expiresAt = time.toOwn(envelope.freshUntil);
    return {
      value: parsed.data,
      expiresAt,
      staleUntil: family.graceMs > 0 ? time.toOwn(envelope.servedUntil) : expiresAt,
      refreshFrom: refreshFrom(family, expiresAt, loadMs),
      loadMs,
      stamp,
      revision,
      etag,
      isAlone: false,
      bytes: rawBytes,
      tags: tags === null || tagKeys.length === 0 ? NO_TAGS : tagsOf(tags, tagKeys, envelope.tokens),
    };
  }
}

const NO_TAGS: readonly LocalTag[] = [];

export function miss(reason: MissReason, seen: Buffer | null = null, stale: LocalEntry | null = null): Found {
  return { isFresh: false, reason, stale, seen };
}

/** A value as every caller gets it: out of JSON, checked by its family's schema. */
export function parseValue(family: AnyFamily, json: string): ReturnType<AnyFamily["schema"]["safeParse"]> {
  try {
    return family.schema.safeParse(JSON.parse(json));
  } catch {
    return { success: false };
  }
}

/** `tokens`: one after the other. */
export function tagsOf(tags: TagTable, keys: readonly string[], tokens: string): readonly LocalTag[] {
  return keys.map((key, index) =>
    tags.of(key, tokens.slice(index * TOKEN_LENGTH, (index + 1) * TOKEN_LENGTH)),
  );
}
