import { encodeText } from "./encode-key.ts";

/**
 * Keys of Redis: `<namespace>:c:{<scope>}:<kind>:<rest>`. The scope is the hash tag, so whatever belongs to a scope lives in one slot of a Cluster.
 * Kinds: `v` a value, `l` the lease of who loads it, `e` the error of the last load (these three with `<family>.<version>:<key>` as the rest),
 * `t` the token of a tag (`<tag>` as the rest).
 */
export type KeyKind = "v" | "l" | "e" | "t";

export interface KeyParts {
  readonly scope: string;
  readonly kind: string;
  readonly family: string;
  /** The part that stands for the arguments. */
  readonly key: string;
}

/** What all keys of a cache begin with. */
export function cachePrefix(namespace: string): string {
  return `${namespace}:c:`;
}

export function tagKey(prefix: string, scope: string, tag: string): string {
  return `${prefix}{${scope}}:t:${encodeText(tag)}`;
}

/** The companion of a key of another kind. */
export function withKind(key: string, kind: KeyKind): string {
  const at = kindAt(key);
  return key.slice(0, at) + kind + key.slice(at + 1);
}

export function kindOf(key: string): string {
  return key.charAt(kindAt(key));
}

/** The scope of a key, a user's id included. */
export function scopeOf(key: string): string {
  return key.slice(key.indexOf("{") + 1, key.indexOf("}"));
}

/** The name of the family of a key of a value, lease or error. */
export function familyOf(key: string): string {
  const start = kindAt(key) + 2;
  const dot = key.indexOf(".", start);
  return key.slice(start, dot < 0 ? undefined : dot);
}

/** Takes a key of a value, lease or error apart. Null for any other. */
export function parseKey(key: string): KeyParts | null {
  const parts = /\{([^{}]*)\}:([vle]):([^.:]+)\.\d+:(.*)$/s.exec(key);
  if (parts === null) return null;
  const [, scope = "", kind = "", family = "", rest = ""] = parts;
  return { scope, kind, family, key: rest };
}

/** The scope has no "}", so the first one ends it. */
function kindAt(key: string): number {
  return key.indexOf("}") + 2;
}
