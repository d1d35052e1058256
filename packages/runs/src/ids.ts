import { randomUUIDv7 } from "node:crypto";

export type IdPrefix = "book" | "run" | "key";

// Crockford's base32 keeps the order of the bytes, so ids sort by the time they were made.
const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";

/** A UUIDv7 as 26 characters after its prefix: `run_01k…`. Sorts by time of making. */
export function newId(prefix: IdPrefix): string {
  let value = BigInt(`0x${randomUUIDv7().replaceAll("-", "")}`);
  let text = "";
  for (let i = 0; i < 26; i++) {
    text = ALPHABET[Number(value & 31n)] + text;
    value >>= 5n;
  }
  return `${prefix}_${text}`;
}

const SHAPES: Readonly<Record<IdPrefix, RegExp>> = {
  book: /^book_[0-9a-hjkmnp-tv-z]{26}$/,
  run: /^run_[0-9a-hjkmnp-tv-z]{26}$/,
  key: /^key_[0-9a-hjkmnp-tv-z]{26}$/,
};

/** True for what `newId` makes, so that anything else never reaches the store. */
export function isId(prefix: IdPrefix, text: string): boolean {
  return SHAPES[prefix].test(text);
}
