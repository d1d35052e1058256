import { posix } from "node:path";
import type { Archive } from "./archive.ts";

/** A place in the archive: the file's name there, and the id of an element in it. */
export interface Target {
  readonly name: string;
  readonly fragment: string | null;
}

/**
 * Finds what a reference in the document `base` points to; null when that is not in the archive. As in any URL, `..` stops at
 * the root: it can never leave the archive. References that were not encoded as they should be are tried as they stand.
 */
export function resolveHref(archive: Archive, base: string, href: string): Target | null {
  const reference = href.trim();
  const hash = reference.indexOf("#");
  const path = hash < 0 ? reference : reference.slice(0, hash);
  const fragment = hash < 0 ? null : decode(reference.slice(hash + 1)) || null;
  if (/^[a-z][a-z\d+.-]*:/i.test(path) || path.startsWith("//")) {
    return null;
  }
  if (path === "") {
    return { name: base, fragment };
  }
  const withoutQuery = path.replace(/\?.*$/s, "");
  for (const attempt of [decode(path), path, decode(withoutQuery)]) {
    const name = archive.find(joinInArchive(base, attempt));
    if (name !== null) {
      return { name, fragment };
    }
  }
  return null;
}

function joinInArchive(base: string, path: string): string {
  const slashed = path.replaceAll("\\", "/");
  return posix.resolve("/", posix.dirname(base), slashed).slice(1);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
