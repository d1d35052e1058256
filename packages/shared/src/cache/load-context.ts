import type { LocalEntry } from "./local-tier.ts";

/** What a load is given. */
export interface LoadContext<Value> {
  /** Aborted when the cache is closed. A load that is no longer waited for goes on, and its value is stored. */
  readonly signal: AbortSignal;
  /** The value that is there, past its time or about to be, for a source that can be asked whether it changed. */
  readonly stale: { readonly value: Value; readonly etag: string | null } | null;
  /** Stores the value for exactly so long. */
  setTtl(milliseconds: number): void;
  /** Keeps with the value what its source calls this version of it: up to 65,535 bytes. */
  setEtag(etag: string): void;
  /** The value that is there is current: it is stored anew. To be returned by the load. Throws when there is none. */
  notModified(): Value;
  /** Does not store what the load returns. */
  skip(): void;
}

/** Loads a value from its source. `undefined` says that there is none. */
export type Load<Value, Loaded extends Value | undefined = Value | undefined> = (
  context: LoadContext<Value>,
) => Loaded | Promise<Loaded>;

/** Its length stands in two bytes of the envelope. */
const LONGEST_ETAG = 65_535;

/** What a load says of its value while it runs. */
export class LoadNotes implements LoadContext<unknown> {
  readonly signal: AbortSignal;
  readonly stale: { readonly value: unknown; readonly etag: string | null } | null;
  ttlMs: number | undefined;
  etag: string | null = null;
  isSkipped = false;

  constructor(signal: AbortSignal, stale: LocalEntry | null, ttlMs: number | undefined) {
    this.signal = signal;
    this.stale =
      stale === null || stale.value === undefined ? null : { value: stale.value, etag: stale.etag };
    this.ttlMs = ttlMs;
  }

  // Fields, so that loads can take them off the context.
  readonly setTtl = (milliseconds: number): void => {
    this.ttlMs = milliseconds;
  };

  readonly setEtag = (etag: string): void => {
    if (Buffer.byteLength(etag) > LONGEST_ETAG) throw new RangeError("An etag has 65,535 bytes at most.");
    this.etag = etag;
  };

  readonly notModified = (): unknown => {
    if (this.stale === null) throw new TypeError("There is no value that could be current.");
    this.etag ??= this.stale.etag;
    return this.stale.value;
  };

  readonly skip = (): void => {
    this.isSkipped = true;
  };
}
