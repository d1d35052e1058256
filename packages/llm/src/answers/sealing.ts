import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  type KeyObject,
  randomBytes,
} from "node:crypto";

/** Makes texts unreadable to who has no key, each bound to one place: the key of a cached value, a row's id and field. */
export interface Sealer {
  seal(text: string, place: string): string;
  /**
   * Null for what cannot be opened here: sealed with another key, for another place, or tampered with. What was never sealed comes
   * back as it is. Never throws.
   */
  open(stored: string, place: string): string | null;
}

/** `<mark><key id>.<nonce, ciphertext and tag in base64url>` */
const MARK = "mythic-sealed.1.";
const CIPHER = "aes-256-gcm";
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** 48 bits in base64url tell the keys of one server apart. */
const KEY_ID_CHARACTERS = 8;
/** In the place of a key's id: what follows is plain text, which began with the mark by itself. */
const NO_KEY_ID = "";

/**
 * Seals with the first key and opens with all of them, so that a key is replaced by putting the new one in front. Without keys
 * nothing is sealed.
 *
 * @param keys 32 bytes each, in base64 or hexadecimal
 * @throws RangeError for a key that is none; the message does not show it
 */
export function createSealer(keys: readonly string[]): Sealer {
  const known = new Map(keys.map(readKey).map((key) => [idOf(key), key]));
  const [first] = known;
  return {
    seal(text, place) {
      if (first === undefined) return text.startsWith(MARK) ? `${headOf(NO_KEY_ID)}${text}` : text;
      const [keyId, key] = first;
      const head = headOf(keyId);
      return `${head}${encrypt(key, text, head + place)}`;
    },
    open(stored, place) {
      if (!stored.startsWith(MARK)) return stored;
      const end = stored.indexOf(".", MARK.length);
      if (end === -1) return null;
      const keyId = stored.slice(MARK.length, end);
      const body = stored.slice(end + 1);
      if (keyId === NO_KEY_ID) return body;
      const key = known.get(keyId);
      return key === undefined ? null : decrypt(key, body, headOf(keyId) + place);
    },
  };
}

/** True for 32 bytes in base64 or hexadecimal. */
export function isEncryptionKey(text: string): boolean {
  return bytesOf(text) !== null;
}

function readKey(text: string): KeyObject {
  const bytes = bytesOf(text);
  if (bytes === null) throw new RangeError("An encryption key must be 32 bytes in base64 or hexadecimal.");
  return createSecretKey(bytes);
}

function bytesOf(text: string): Buffer | null {
  if (/^[\da-f]{64}$/i.test(text)) return Buffer.from(text, "hex");
  if (!/^[\w+/-]{43}=?$/.test(text)) return null;
  const bytes = Buffer.from(text, "base64");
  return bytes.length === KEY_BYTES ? bytes : null;
}

/** Says nothing of the key, and is the same in every process. */
function idOf(key: KeyObject): string {
  return createHmac("sha256", key).update("key id").digest("base64url").slice(0, KEY_ID_CHARACTERS);
}

function headOf(keyId: string): string {
  return `${MARK}${keyId}.`;
}

function encrypt(key: KeyObject, text: string, bound: string): string {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES }).setAAD(Buffer.from(bound));
  const sealed = [nonce, cipher.update(text, "utf8"), cipher.final(), cipher.getAuthTag()];
  return Buffer.concat(sealed).toString("base64url");
}

function decrypt(key: KeyObject, body: string, bound: string): string | null {
  const sealed = Buffer.from(body, "base64url");
  // A decoder overlooks what is no base64url, and the last bits that no byte needs.
  if (sealed.length < NONCE_BYTES + TAG_BYTES || sealed.toString("base64url") !== body) return null;
  const decipher = createDecipheriv(CIPHER, key, sealed.subarray(0, NONCE_BYTES), {
    authTagLength: TAG_BYTES,
  })
    .setAAD(Buffer.from(bound))
    .setAuthTag(sealed.subarray(-TAG_BYTES));
  try {
    const text = decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES));
    decipher.final();
    return text.toString("utf8");
  } catch {
    return null;
  }
}
