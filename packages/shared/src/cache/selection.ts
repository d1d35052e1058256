import { compileGlob, escapeGlob } from "./glob.ts";
import { parseKey } from "./value-key.ts";

/** Picks values by what their keys look like. */
export interface Selection {
  /** The namespace within the cache: its name and a slash, for each level; empty for all. */
  readonly path: string;
  /** Of this scope only, as keys have it, when it is not null. */
  readonly scope: string | null;
  /** Of this family only, when it is not null. */
  readonly family: string | null;
  /** Those whose logical key, `<family>:<key>`, matches this pattern, when it is not null. */
  readonly glob: string | null;
}

/** Whether a full Redis key of a value, lease or error is meant. */
export function createMatcher({ path, scope, family, glob }: Selection): (key: string) => boolean {
  const expression = glob === null ? null : compileGlob(glob);
  return (key) => {
    const parts = parseKey(key);
    if (parts === null || !parts.scope.startsWith(path)) return false;
    if (scope !== null && parts.scope !== `${path}${scope}` && !parts.scope.endsWith(`/${scope}`))
      return false;
    if (family !== null && parts.family !== family) return false;
    return expression === null || expression.test(`${parts.family}:${parts.key}`);
  };
}

/** A pattern for SCAN, which may match more than is meant. */
export function scanPattern(prefix: string, { path, scope, family }: Selection): string {
  const name = family === null ? "*" : `${escapeGlob(family)}.*`;
  return `${escapeGlob(prefix)}{${escapeGlob(path)}*${escapeGlob(scope ?? "")}}:[vle]:${name}`;
}
