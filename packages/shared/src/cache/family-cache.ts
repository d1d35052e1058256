import type { Explanation } from "./explain.ts";
import type { At, ScopeKind } from "./family.ts";
import type { Load } from "./load-context.ts";

export interface SetOptions {
  /** For exactly so long instead of the family's TTL. */
  readonly ttlMs?: number;
}

export interface LoadOptions extends SetOptions {
  /** Ends the wait of this caller; the load goes on for the others. */
  readonly signal?: AbortSignal;
}

/**
 * The values of one family. In a family of users the user's id comes first everywhere, so that no call can be made without saying whose value is meant.
 *
 * Nothing here rejects because of Redis: without it, values are kept in this process alone. Values are copies that cannot be changed.
 */
export interface FamilyCache<Kind extends ScopeKind, Args extends readonly unknown[], Value> {
  /** What this process holds, at once and without asking anyone. */
  peek(...at: At<Kind, Args>): Value | undefined;
  get(...at: At<Kind, Args>): Promise<Value | undefined>;
  /** Values in the order of the arguments, in one round trip; in a Cluster, in one for each slot. */
  getMany(...many: Many<Kind, Args>): Promise<readonly (Value | undefined)[]>;
  /** Whether there is a value. */
  exists(...at: At<Kind, Args>): Promise<boolean>;
  /**
   * The value, loaded if there is none. However many ask for it at the same time, in however many processes, one of them loads it. When that fails, all of
   * them get its error, and so do those who ask within a second.
   *
   * @throws CacheLoadTimeout, or the error of the load; a value in its grace is served instead
   */
  getOrSet<Loaded extends Value | undefined>(
    ...call: [...at: At<Kind, Args>, load: Load<Value, Loaded>, options?: LoadOptions]
  ): Promise<Value | Extract<Loaded, undefined>>;
  /**
   * Stores a value. Answers whether it is stored: one that is too large, or does not fit the schema, is not, and what was there before is removed; neither is one whose
   * revision is not higher than that of the value there.
   */
  set(...call: [...at: At<Kind, Args>, value: Value, options?: SetOptions]): Promise<boolean>;
  /** Stores many: arguments and value of each. */
  setMany(...many: ManyValues<Kind, Args, Value>): Promise<void>;
  /** Removes a value; one that is being loaded is not stored. Answers whether there was anything, as far as that is known. */
  delete(...at: At<Kind, Args>): Promise<boolean>;
  /** The same as `delete`. */
  invalidate(...at: At<Kind, Args>): Promise<boolean>;
  /** Ends the freshness of a value, whose grace begins: so long it may still be served when the source fails or is slow. Answers whether there was one, as far as that is known. */
  expire(...at: At<Kind, Args>): Promise<boolean>;
  /**
   * Calls back whenever this process hears that the value may have changed: by itself, by what Redis tells, or because nothing is told any more. It may be called
   * more than once for a change. Answers how to stop it.
   */
  watch(...call: [...at: At<Kind, Args>, changed: () => void]): () => void;
  /** What is known of a value, but not the value. */
  explain(...at: At<Kind, Args>): Promise<Explanation>;
}

type Many<Kind extends ScopeKind, Args extends readonly unknown[]> = Kind extends "user"
  ? [user: string, many: readonly Readonly<Args>[]]
  : [many: readonly Readonly<Args>[]];

type ManyValues<Kind extends ScopeKind, Args extends readonly unknown[], Value> = Kind extends "user"
  ? [user: string, many: readonly (readonly [...args: Args, value: Value])[], options?: SetOptions]
  : [many: readonly (readonly [...args: Args, value: Value])[], options?: SetOptions];
