import type { LocalTag } from "./local-tier.ts";

/** More are not watched: the one that was noticed first makes room, and what bears it is read from Redis again. */
const MOST = 50_000;

/** The tags that local entries bear. */
export class TagTable {
  readonly #tags = new Map<string, LocalTag>();

  /** The tag of this key with this token; one with another token is dead from now on. */
  of(key: string, token: string): LocalTag {
    const known = this.#tags.get(key);
    if (known?.token === token) return known;
    if (known !== undefined) this.drop(key);
    const tag = { key, token, live: true };
    this.#tags.set(key, tag);
    if (this.#tags.size > MOST) this.#dropFirst();
    return tag;
  }

  /** The tag of this key, with whatever token, for what only this process has. */
  alone(key: string): LocalTag {
    return this.#tags.get(key) ?? this.of(key, "");
  }

  /** Invalidates a tag; what bears it is not used any more. Answers whether it was borne. */
  drop(key: string): boolean {
    const tag = this.#tags.get(key);
    if (tag === undefined) return false;
    tag.live = false;
    return this.#tags.delete(key);
  }

  clear(): void {
    this.#tags.clear();
  }

  #dropFirst(): void {
    for (const key of this.#tags.keys()) {
      this.drop(key);
      return;
    }
  }
}
