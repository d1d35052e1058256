import { encodeText, shorten } from "./encode-key.ts";

/** Whose a value is: one user's, or everybody's. */
export type Scope = "shared" | { readonly user: string };

/** Keys spread over this many slots of a Cluster. */
const BUCKETS = 1_024;
/** So many characters of a key, all along it, decide: to read all would take as long as to find the value. */
const SAMPLES = 16;

/**
 * The scope of a user in keys. Distinct users have distinct ones, and none can look like another scope or part of a key.
 *
 * @throws TypeError when it is no user's id
 */
export function userScope(user: unknown): string {
  if (typeof user !== "string" || user === "") {
    throw new TypeError("A value of a user needs the user's id as the first argument.");
  }
  return `u.${shorten(encodeText(user))}`;
}

/** The scope of shared values with tags. They stay together, as a script must be able to read value and tags. */
export const SHARED_SCOPE = "s";

/** The scope of a shared value without tags, which spreads such values over a Cluster. */
export function spreadScope(key: string): string {
  let sum = 0;
  const step = Math.ceil(key.length / SAMPLES);
  for (let index = 0; index < key.length; index += step)
    sum = (Math.imul(sum, 31) + key.charCodeAt(index)) | 0;
  return `s.${sum & (BUCKETS - 1)}`;
}

export function scopeText(scope: Scope): string {
  return scope === "shared" ? SHARED_SCOPE : userScope(scope.user);
}
