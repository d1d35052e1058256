/** A tag as this process knows it. All entries that bear the tag share one object, so one write invalidates them all. */
export interface LocalTag {
  /** The full Redis key of the tag's token. */
  readonly key: string;
  readonly token: string;
  /** False once the tag was invalidated or is no longer watched. */
  live: boolean;
}

/** What the first tier keeps of a value. Times are of the cache's own clock, in milliseconds. */
export interface LocalEntry {
  /** Deep-frozen, so that no caller can change what the others get. Undefined when it is known that there is none. */
  readonly value: unknown;
  /** Fresh before this moment. */
  readonly expiresAt: number;
  /** May still be served until this moment when the source fails or is slow; `expiresAt` when never. */
  readonly staleUntil: number;
  /** From this moment on a hit may begin a refresh; infinite when none is ever early. */
  readonly refreshFrom: number;
  /** How long the value took to load. */
  readonly loadMs: number;
  /** Which write of the value this is: a random number that stands in the envelope, too. */
  readonly stamp: number;
  /** Minus infinity in a family without revisions. */
  readonly revision: number;
  readonly etag: string | null;
  /** Only this process has it: it is of use even while nothing is heard of Redis. */
  readonly isAlone: boolean;
  /** What it counts for. */
  readonly bytes: number;
  readonly tags: readonly LocalTag[];
}

/** Values kept in the memory of this process, bounded by bytes; what was used least recently goes first. */
export interface LocalTier {
  get(key: string): LocalEntry | undefined;
  /** `bytes` is what the entry counts for; what alone is larger than the tier is not kept. */
  set(key: string, entry: LocalEntry, bytes: number): void;
  delete(key: string): void;
  /** Removes the entries that the function picks and answers how many they were. */
  deleteMatching(picks: (key: string, entry: LocalEntry) => boolean): number;
  clear(): void;
  readonly bytes: number;
  readonly size: number;
  readonly evictions: number;
}
