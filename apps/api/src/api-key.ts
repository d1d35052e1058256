import { hash, randomBytes } from "node:crypto";
import { crc32 } from "node:zlib";

/**
 * `myth_live_<8 characters of id>_<43 of secret><6 of checksum>`. The prefix lets scanners find keys that leaked, the checksum
 * tells a typo without asking the store.
 */
const SHAPE = /^(myth_live_([0-9A-Za-z_-]{8})_[0-9A-Za-z_-]{43})([0-9A-Za-z_-]{6})$/;
const ID_BYTES = 6;
const SECRET_BYTES = 32;

export interface NewApiKey {
  /** The whole key. Shown once, stored nowhere. */
  readonly key: string;
  /** The part of it that may be shown. */
  readonly id: string;
  /** Of the whole key, in hexadecimal: what is stored. */
  readonly sha256: string;
  readonly lastFour: string;
}

/** Makes a key of 256 random bits. */
export function makeApiKey(): NewApiKey {
  const id = randomBytes(ID_BYTES).toString("base64url");
  const front = `myth_live_${id}_${randomBytes(SECRET_BYTES).toString("base64url")}`;
  const key = `${front}${checksum(front)}`;
  return { key, id: `key_${id}`, sha256: sha256Of(key), lastFour: key.slice(-4) };
}

/** What identifies a key, or null for a text that can be none. */
export function parseApiKey(text: string): { readonly id: string; readonly sha256: string } | null {
  const [, front, id, sum] = SHAPE.exec(text) ?? [];
  if (front === undefined || id === undefined || sum !== checksum(front)) return null;
  return { id: `key_${id}`, sha256: sha256Of(text) };
}

function sha256Of(key: string): string {
  return hash("sha256", key, "hex");
}

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/** The 32 bits of a checksum as base64url. Written out, as each request has a key. */
function checksum(text: string): string {
  const bits = crc32(text);
  let digits = "";
  for (const shift of [26, 20, 14, 8, 2]) digits += DIGITS[(bits >>> shift) & 63];
  return digits + DIGITS[(bits << 4) & 63];
}
