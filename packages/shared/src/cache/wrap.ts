import { type CacheFamily, defineFamily, type KeyPart } from "./family.ts";

/** For a function that is cached without a family of its own. */
export interface WrapOptions {
  /** Tells it from other functions: a name as for a family. */
  readonly prefix: string;
  readonly ttlMs: number;
}

/** A family for the results of one function, by the list of its arguments. They are shared: if they depend on a user, the user has to be among the arguments. */
export function familyOfFunction({
  prefix,
  ttlMs,
}: WrapOptions): CacheFamily<"shared", readonly [args: readonly unknown[]], unknown> {
  const schema = { safeParse: (value: unknown) => ({ success: true as const, data: value }) };
  // Keys take any value that has a canonical text; families are asked for less by their types.
  const key = (args: readonly unknown[]) => args as readonly KeyPart[];
  return defineFamily({ name: prefix, scope: "shared", version: 0, ttlMs, schema, key });
}
