export { FAMILY_NAMES } from "../cache-families.ts";
export { announceChanges } from "./announce-changes.ts";
export type { Found, FoundIn } from "./find.ts";
export {
  breakerMetrics,
  cacheMetrics,
  type Metric,
  type RedisFigures,
  redisMetrics,
  renderMetrics,
} from "./metrics.ts";
export { type Caching, openCaching, type RunCache } from "./open-caching.ts";
export { Reads } from "./reads.ts";
export { type CacheConfig, cacheConfigOf, cacheSettings } from "./settings.ts";
export { type BookView, plain, type ResultView, type RunView, type WholeBookView } from "./views.ts";
