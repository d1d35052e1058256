import { hash } from "node:crypto";
import { canonicalText } from "./canonical-text.ts";

const LONGEST = 200;

const PLAIN = /^[\w.:@+~-]+$/;
const UNSAFE = /[^\w.:@+~-]/g;

/**
 * Turns values into the part of a key that stands for them, and for no others: distinct values never share a key. Strings of plain characters stay as they are, so that keys
 * can be read and matched by patterns; what is long is hashed (SHA-256).
 *
 * @throws TypeError for what has no value of its own: functions, symbols, instances of classes
 */
export function encodeKey(parts: readonly unknown[]): string {
  return shorten(parts.map(encodePart).join(","));
}

/** Replaces an encoded text that is too long by its hash, which looks like no other encoded text. */
export function shorten(text: string): string {
  return text.length <= LONGEST ? text : `%%${hash("sha256", text, "base64url")}`;
}

/** A string as a part of a key; the comma, the slash, braces and wildcards never stand for themselves. */
export function encodeText(text: string): string {
  if (PLAIN.test(text)) return text;
  // No text but the empty one ends in a lone "%".
  if (text === "") return "%";
  return text.replace(UNSAFE, escapeUnit);
}

function encodePart(part: unknown): string {
  if (typeof part === "string") return encodeText(part);
  // No string begins with "=" or "!", as both would be escaped.
  if (typeof part === "number") return `=${part}`;
  return `!${encodeText(canonicalText(part))}`;
}

/** By UTF-16 unit, so that a lone surrogate is kept apart from the character that stands for it in UTF-8. */
function escapeUnit(unit: string): string {
  return `%${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
