import type { AnswerKey, Scope } from "../request/request-key.ts";
import { freeze } from "./freeze.ts";
import { type Kept, NOTHING_KEPT, parseKept } from "./kept.ts";
import type { Sealer } from "./sealing.ts";

/** What is needed of the family of a cache that answers are kept in. Its values are JSON. */
export interface AnswerFamily {
  peek(scope: string, keyId: string): unknown;
  get(scope: string, keyId: string): Promise<unknown>;
  set(scope: string, keyId: string, value: unknown, options: { readonly ttlMs: number }): Promise<boolean>;
  delete(scope: string, keyId: string): Promise<boolean>;
}

export interface ShelfOptions {
  /** Null: nothing is kept. */
  readonly family: AnswerFamily | null;
  /** Null: what is kept is not encrypted. */
  readonly sealer: Sealer | null;
}

/** What was found, and where. */
export interface OnShelf {
  readonly kept: Kept;
  readonly tier: "l1" | "redis";
}

/** Where answers are kept for a while: in the memory of this process and in Redis. Nothing here rejects. */
export class Shelf {
  readonly #family: AnswerFamily | null;
  readonly #sealer: Sealer | null;
  /** By the value in memory, which is the same until it changes. */
  readonly #read = new WeakMap<object, Kept>();

  constructor({ family, sealer }: ShelfOptions) {
    this.#family = family;
    this.#sealer = sealer;
  }

  async find(scope: Scope, { id }: AnswerKey): Promise<OnShelf | null> {
    if (this.#family === null) return null;
    const tier = this.#family.peek(scope, id) === undefined ? "redis" : "l1";
    const kept = this.#readValue(await this.#family.get(scope, id), id);
    return kept === null ? null : { kept, tier };
  }

  /** Puts there what becomes of what is there. */
  async change(scope: Scope, key: AnswerKey, change: (kept: Kept) => Kept): Promise<void> {
    if (this.#family === null) return;
    const kept = change((await this.find(scope, key))?.kept ?? NOTHING_KEPT);
    const ends = [...kept.answers, ...(kept.rejection === null ? [] : [kept.rejection])].map(({ until }) =>
      until.getTime(),
    );
    const ttlMs = Math.max(0, ...ends) - Date.now();
    if (ttlMs <= 0) await this.#family.delete(scope, key.id);
    else await this.#family.set(scope, key.id, this.#writeValue(kept, key.id), { ttlMs });
  }

  #writeValue(kept: Kept, place: string): unknown {
    const json = JSON.stringify(kept);
    return this.#sealer === null ? JSON.parse(json) : { sealed: this.#sealer.seal(json, place) };
  }

  #readValue(value: unknown, place: string): Kept | null {
    if (typeof value !== "object" || value === null) return null;
    const known = this.#read.get(value);
    if (known !== undefined) return known;
    const kept = parseKept("sealed" in value ? this.#open(value.sealed, place) : value);
    // Only what this process was given in clear is remembered in clear.
    if (kept !== null && this.#sealer === null) this.#read.set(value, freeze(kept));
    return kept;
  }

  #open(sealed: unknown, place: string): unknown {
    const json = typeof sealed === "string" ? this.#sealer?.open(sealed, place) : null;
    try {
      return JSON.parse(json ?? "null");
    } catch {
      return null;
    }
  }
}
