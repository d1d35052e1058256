import type { Explanation } from "./explain.ts";
import type { At, CacheFamily, ScopeKind } from "./family.ts";
import type { FamilyCache } from "./family-cache.ts";
import type { CacheHealth } from "./health.ts";
import type { CacheStats } from "./report/cache-stats.ts";
import type { Scope } from "./scope.ts";
import type { WrapOptions } from "./wrap.ts";

/** Families by the names that callers know them under. */
// biome-ignore lint/suspicious/noExplicitAny: every family must fit, whatever it is found by and holds
export type Families = Readonly<Record<string, CacheFamily<ScopeKind, any, any>>>;

type CacheOf<Family> =
  Family extends CacheFamily<infer Kind, infer Args, infer Value> ? FamilyCache<Kind, Args, Value> : never;

/**
 * A cache with one or two tiers: the memory of this process, and Redis. Nothing here rejects because of Redis.
 */
export interface Cache<Defined extends Families> {
  readonly families: { readonly [Name in keyof Defined]: CacheOf<Defined[Name]> };
  /** Makes an asynchronous function cached, by the place in the family that its arguments name. */
  wrap<Kind extends ScopeKind, Args extends readonly unknown[], Value>(
    family: CacheFamily<Kind, Args, Value>,
    load: (...at: At<Kind, Args>) => Promise<Value>,
  ): (...at: At<Kind, Args>) => Promise<Value>;
  /** Makes an asynchronous function cached, by all of its arguments. Its results are shared by all users. */
  wrap<Args extends readonly unknown[], Value>(
    options: WrapOptions,
    load: (...args: Args) => Promise<Value>,
  ): (...args: Args) => Promise<Value>;
  /** Invalidates what bears one of these tags in one scope. Answers how many of them were borne, as far as that is known. */
  deleteByTag(scope: Scope, tags: string | readonly string[]): Promise<number>;
  /**
   * Removes the values whose logical key, `<family>:<key>`, matches a pattern of Redis' kind, of all users. Answers how many there were, as far as that is known.
   * Keys of more than 200 characters are hashed, and so match by their family only.
   */
  deleteByPattern(pattern: string): Promise<number>;
  /** Removes all values, or those of the family with this name, or of them one scope's. Answers how many there were, as far as that is known. */
  clear(family?: string, scope?: Scope): Promise<number>;
  /** The same families with values of their own. What is removed here reaches into it. */
  namespace(name: string): Cache<Defined>;
  /** Counts of all processes, and what Redis says. */
  stats(): Promise<CacheStats>;
  /** Counts of this process, without asking anyone. */
  own(): CacheStats;
  health(): CacheHealth;
  /** What is known of a value, by its full Redis key; null if that is no key of a value of this cache. */
  explain(key: string): Promise<Explanation | null>;
  /** Waits until Redis can be used, for so long at most, and answers whether it can. */
  ready(withinMs: number): Promise<boolean>;
  /** Ends feeds and timers, and the wait for loads of other processes. The connection is its owner's. */
  close(): Promise<void>;
}
