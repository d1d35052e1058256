/** Whose values a family holds: `user` values are asked for with the user's id first. */
export type ScopeKind = "user" | "shared";

/** What knows the shape of a value; a schema of zod fits. */
export interface Schema<Value> {
  safeParse(value: unknown): { readonly success: true; readonly data: Value } | { readonly success: false };
}

/** What a value is found by: the user's id in a family of users, then the family's own arguments. */
export type At<Kind extends ScopeKind, Args extends readonly unknown[]> = Kind extends "user"
  ? readonly [user: string, ...args: Args]
  : readonly [...args: Args];

export type KeyPart = string | number;

export interface FamilyOptions<Kind extends ScopeKind, Args extends readonly unknown[], Value> {
  /** Letters, digits and hyphens. Part of the key. */
  readonly name: string;
  readonly scope: Kind;
  /** Of the value's shape. Raised when the shape changes; values of other versions are not seen. Part of the key. */
  readonly version: number;
  readonly ttlMs: number;
  /** How long it is remembered that a load found nothing (`undefined`). Without it that is not remembered. */
  readonly negativeTtlMs?: number;
  /** How long past its TTL a value may be served when the source fails or is slow. */
  readonly graceMs?: number;
  /**
   * How long Redis keeps a value past the time in which it may be served. What is asked for all the time is replaced meanwhile: Redis has no end of
   * it to tell to every process, and nobody need look for what they know to be past its time. 0 unless told.
   */
  readonly lingerMs?: number;
  /** How long a value that Redis does not hold is kept in memory at most, as nobody tells of its changes. As for all families unless told. */
  readonly aloneTtlMs?: number;
  /** True states that nothing is served past its TTL, so there is no grace. */
  readonly hard?: boolean;
  /** A load that takes longer is not waited for when there is a value in its grace. It goes on behind the scenes. */
  readonly softTimeoutMs?: number;
  /** A load that takes longer is not waited for. It goes on behind the scenes. */
  readonly hardTimeoutMs?: number;
  /** Values in demand are loaded anew a little before their time is up, by one caller, while the others get the old one. */
  readonly earlyRefresh?: boolean;
  /**
   * A hit on a value with less than this left begins to load it anew while four others of the family are being loaded because somebody waits for
   * them; with less than a quarter of it left, while one is. So a process that is asked little wakes up for Redis and the source once for many values,
   * not once for each. A value stored for less than this is loaded anew each time that others are. 0 unless told.
   */
  readonly refreshAlongMs?: number;
  /** A TTL is shortened by up to this share of it, at random, so that what was stored together does not expire together. 0.1 unless told. */
  readonly jitter?: number;
  /** A value with more bytes, as stored, is not stored. 1 MiB unless told. */
  readonly maxBytes?: number;
  readonly schema: Schema<Value>;
  /** What tells values of one scope apart. Without it there is one value for each scope. Takes a fixed number of arguments. */
  readonly key?: (...args: Args) => KeyPart | readonly KeyPart[];
  /** Up to 255 marks by which many values are invalidated at once. The marks of one user say nothing of another's. */
  readonly tags?: (...at: At<Kind, Args>) => readonly string[];
  /** Grows with each change of what the value shows. A lower one never replaces a higher one. */
  readonly revision?: (value: Value) => number;
}

/** A named kind of cached value, with its policy. */
export interface CacheFamily<Kind extends ScopeKind, Args extends readonly unknown[], Value> {
  readonly name: string;
  readonly scope: Kind;
  readonly version: number;
  readonly ttlMs: number;
  /** Null: that there is nothing is not remembered. */
  readonly negativeTtlMs: number | null;
  readonly graceMs: number;
  readonly lingerMs: number;
  /** Null: as for all families. */
  readonly aloneTtlMs: number | null;
  readonly softTimeoutMs: number | null;
  readonly hardTimeoutMs: number | null;
  readonly earlyRefresh: boolean;
  readonly refreshAlongMs: number;
  readonly jitter: number;
  readonly maxBytes: number;
  readonly schema: Schema<Value>;
  readonly key: ((...args: Args) => KeyPart | readonly KeyPart[]) | null;
  readonly tags: ((...at: At<Kind, Args>) => readonly string[]) | null;
  readonly revision: ((value: Value) => number) | null;
}

const NAME = /^[A-Za-z][A-Za-z0-9-]*$/;
const DEFAULTS = {
  negativeTtlMs: null,
  graceMs: 0,
  lingerMs: 0,
  aloneTtlMs: null,
  softTimeoutMs: null,
  hardTimeoutMs: null,
  earlyRefresh: false,
  refreshAlongMs: 0,
  jitter: 0.1,
  maxBytes: 1_048_576,
  key: null,
  tags: null,
  revision: null,
} as const;

/**
 * Declares a family.
 *
 * @throws TypeError when the options contradict one another
 */
export function defineFamily<Value, Kind extends ScopeKind, Args extends readonly unknown[] = readonly []>(
  options: FamilyOptions<Kind, Args, Value>,
): CacheFamily<Kind, Args, Value> {
  const { hard = false, ...told } = options;
  const family = { ...DEFAULTS, ...told };
  const { name } = family;
  if (!NAME.test(name)) throw new TypeError(`"${name}" is no name for a family.`);
  const flaw = flawOf(family, hard);
  if (flaw !== null) throw new TypeError(`The family ${name} ${flaw}.`);
  return family;
}

type Checked = Pick<
  CacheFamily<ScopeKind, readonly [], unknown>,
  "version" | "ttlMs" | "graceMs" | "lingerMs" | "refreshAlongMs" | "jitter"
>;

/** Null when it can be had. */
function flawOf(family: Checked, isHard: boolean): string | null {
  const { version, ttlMs, graceMs, lingerMs, refreshAlongMs, jitter } = family;
  const demands: readonly (readonly [isMet: boolean, flaw: string])[] = [
    [Number.isSafeInteger(version) && version >= 0, "needs a whole number as its version"],
    [ttlMs > 0 && Number.isFinite(ttlMs), "needs a TTL"],
    [graceMs >= 0 && Number.isFinite(graceMs), "needs a grace that ends"],
    [lingerMs >= 0 && Number.isFinite(lingerMs), "needs a lingering that ends"],
    [!isHard || graceMs === 0, "is hard, so it has no grace"],
    [jitter >= 0 && jitter < 1, "needs a jitter from 0 to less than 1"],
    [
      refreshAlongMs >= 0 && refreshAlongMs < ttlMs * (1 - jitter),
      "needs to be kept for a while before it is loaded anew",
    ],
  ];
  return demands.find(([isMet]) => !isMet)?.[1] ?? null;
}
