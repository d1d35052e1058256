import type { CacheFamily, ScopeKind } from "./family.ts";
import { withKind } from "./value-key.ts";

/** A family whose own types do not matter. */
export type AnyFamily = Pick<
  CacheFamily<ScopeKind, readonly never[], unknown>,
  | "name"
  | "version"
  | "ttlMs"
  | "negativeTtlMs"
  | "graceMs"
  | "lingerMs"
  | "aloneTtlMs"
  | "softTimeoutMs"
  | "hardTimeoutMs"
  | "earlyRefresh"
  | "refreshAlongMs"
  | "jitter"
  | "maxBytes"
  | "schema"
> & { readonly revision: ((value: never) => number) | null };

/** Where a value is. */
export interface Location {
  readonly family: AnyFamily;
  /** The full Redis key of the value. */
  readonly key: string;
  /** The full Redis keys of the tokens of its tags. */
  readonly tagKeys: readonly string[];
}

/** The keys in the order in which the scripts take them. */
export function keysOf({ key, tagKeys }: Location): readonly string[] {
  return [key, withKind(key, "l"), withKind(key, "e"), ...tagKeys];
}
