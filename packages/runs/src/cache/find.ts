import type { Load, LoadContext } from "@mythic/shared/cache";

/**
 * Where something was found: in this process, in Redis (or someone else was loading it just then), in the store, in the cache past its
 * time because the store did not answer, or in the store because it is not cached.
 */
export type FoundIn = "memory" | "redis" | "store" | "stale" | "uncached";

export interface Found<Value> {
  /** Null when there is none that the user may see. */
  readonly value: Value | null;
  readonly in: FoundIn;
}

/** What is needed of a family; `at` says which of its values is meant. */
interface Family<At extends readonly unknown[], Value> {
  exists(...at: At): Promise<boolean>;
  getOrSet(...call: readonly [...at: At, load: Load<Value>]): Promise<Value | undefined>;
}

/** What a load of the store has to say of its value besides. */
export type LoadNotes = Pick<LoadContext<unknown>, "setTtl" | "skip">;

const NOT_CACHED: LoadNotes = { setTtl: () => undefined, skip: () => undefined };

/** Values that this process was given before. Its memory gives the same object again, and Redis another one. */
const known = new WeakSet<object>();

/** Finds a value in the cache or loads it, and says which of the two it was. */
export async function find<At extends readonly unknown[], Value extends object>(
  family: Family<At, Value> | undefined,
  at: readonly [...At],
  load: (notes: LoadNotes) => Promise<Value | null>,
): Promise<Found<Value>> {
  if (family === undefined) return { value: await load(NOT_CACHED), in: "uncached" };
  let found = null as FoundIn | null;
  const value = await family.getOrSet(...at, async (context) => {
    // Who gets a value although the load failed, or goes on, gets the one from before.
    found = "stale";
    const loaded = (await load(context)) ?? undefined;
    found = "store";
    return loaded;
  });
  if (value === undefined) return { value: null, in: found ?? "memory" };
  if (found === null && known.has(value)) return { value, in: "memory" };
  known.add(value);
  return { value, in: found ?? "redis" };
}
