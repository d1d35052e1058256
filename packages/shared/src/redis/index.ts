export { checkRedis, OLDEST_REDIS, type RedisHealth } from "./check-redis.ts";
export { closeRedis } from "./close-redis.ts";
export {
  type ConnectOptions,
  connectRedis,
  type RedisConnectionKind,
  waitForRedis,
} from "./connect-redis.ts";
export { type RedisAddress, type RedisSettings, redisAddress } from "./redis-address.ts";
export { RedisError, toRedisError } from "./redis-error.ts";
export { reportErrors } from "./report-errors.ts";
