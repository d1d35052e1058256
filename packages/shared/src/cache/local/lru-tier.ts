import { LRUCache } from "lru-cache";
import type { LocalEntry, LocalTier } from "../local-tier.ts";

export interface LruTierOptions {
  /** Of all entries together. */
  readonly maxBytes: number;
  /** The family that a key belongs to. */
  readonly familyOf: (key: string) => string;
  /** Told of each entry that had to make room for others. */
  readonly onEvict?: (family: string) => void;
}

/** What an entry costs beside its value, at a guess: the record, its place in the order of use, its place in the map. */
const ENTRY_BYTES = 200;

/** The local tier on `lru-cache`. It knows nothing of time: whoever takes an entry looks at its times. */
export class LruTier implements LocalTier {
  readonly #entries: LRUCache<string, LocalEntry>;
  readonly #familyOf: (key: string) => string;
  readonly #sizes = new Map<string, number>();
  #evictions = 0;

  readonly maxBytes: number;

  constructor({ maxBytes, familyOf, onEvict }: LruTierOptions) {
    this.maxBytes = maxBytes;
    this.#familyOf = familyOf;
    this.#entries = new LRUCache<string, LocalEntry>({
      maxSize: maxBytes,
      onInsert: (_entry, key) => void this.#count(key, 1),
      dispose: (_entry, key, reason) => {
        const family = this.#count(key, -1);
        if (reason !== "evict") return;
        this.#evictions += 1;
        onEvict?.(family);
      },
    });
  }

  get bytes(): number {
    return this.#entries.calculatedSize;
  }

  get size(): number {
    return this.#entries.size;
  }

  get evictions(): number {
    return this.#evictions;
  }

  /** How many entries of a family there are. */
  sizeOf(family: string): number {
    return this.#sizes.get(family) ?? 0;
  }

  get(key: string): LocalEntry | undefined {
    return this.#entries.get(key);
  }

  set(key: string, entry: LocalEntry, bytes: number): void {
    // What is set over itself would be inserted twice and disposed of once.
    this.#entries.delete(key);
    this.#entries.set(key, entry, { size: Math.ceil(bytes) + key.length + ENTRY_BYTES });
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }

  deleteMatching(picks: (key: string, entry: LocalEntry) => boolean): number {
    const picked = [...this.#entries.entries()].filter(([key, entry]) => picks(key, entry));
    for (const [key] of picked) this.#entries.delete(key);
    return picked.length;
  }

  clear(): void {
    this.#entries.clear();
  }

  #count(key: string, change: 1 | -1): string {
    const family = this.#familyOf(key);
    this.#sizes.set(family, this.sizeOf(family) + change);
    return family;
  }
}
