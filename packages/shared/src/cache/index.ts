export type { Cache, Families } from "./cache.ts";
export type { CoherenceState } from "./coherence-feed.ts";
export type { Explanation } from "./explain.ts";
export {
  type At,
  type CacheFamily,
  defineFamily,
  type FamilyOptions,
  type Schema,
  type ScopeKind,
} from "./family.ts";
export type { FamilyCache, LoadOptions, SetOptions } from "./family-cache.ts";
export type { CacheHealth } from "./health.ts";
export type { Load, LoadContext } from "./load-context.ts";
export { CacheLoadTimeout } from "./load-error.ts";
export { type CacheOptions, openCache } from "./open-cache.ts";
export type { CacheLog } from "./report/cache-events.ts";
export type { CacheStats } from "./report/cache-stats.ts";
export type { Scope } from "./scope.ts";
export type { WrapOptions } from "./wrap.ts";
