export { rateLimitHeaders } from "./headers.ts";
export type { DecidedBy, Decision, Limit, LimitState, RateLimiter, Reservation } from "./limit.ts";
export { openRateLimiter, type RateLimiterOptions } from "./rate-limiter.ts";
