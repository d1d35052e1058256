import { z } from "zod";
import { redisUrlOf, wholeNumber } from "../settings.ts";

/** What API, worker and CLI read about the cache. Processes that share a store have to read the same. */
export const cacheSettings = {
  /** `off`: everything is read from the store; to see what the cache is worth. Limits are another matter, and hold. */
  MYTHIC_CACHE: z.enum(["on", "off"]).default("on"),
  /** At which level the lines HIT, MISS, SAVE, INVALIDATE and STALE are logged. */
  CACHE_LOG: z.enum(["debug", "info"]).default("debug"),
  /** What all keys begin with. Two systems that share a Redis need two of them. */
  CACHE_NAMESPACE: z
    .string()
    .regex(/^[A-Za-z0-9-]{1,64}$/, "must be letters, digits and hyphens, at most 64")
    .optional(),
  /** After which a Redis that does not answer is done without, in milliseconds. No request waits longer for it. */
  REDIS_TIMEOUT_MS: wholeNumber(10, 60_000).default(200),
  /** How long answers of the model are cached, in seconds. */
  REDIS_CACHE_TTL: wholeNumber(1, 2_592_000).default(3_600),
};

export interface CacheConfig {
  readonly isOn: boolean;
  readonly redisUrl: string | null;
  /** Null: one that is made of the store. */
  readonly namespace: string | null;
  /** For a reply of Redis. */
  readonly timeoutMs: number;
  readonly logLevel: "debug" | "info";
  readonly answersTtlMs: number;
}

type CacheSettings = z.infer<z.ZodObject<typeof cacheSettings>> & Parameters<typeof redisUrlOf>[0];

export function cacheConfigOf(settings: CacheSettings): CacheConfig {
  return {
    isOn: settings.MYTHIC_CACHE === "on",
    redisUrl: redisUrlOf(settings, "cache"),
    namespace: settings.CACHE_NAMESPACE ?? null,
    timeoutMs: settings.REDIS_TIMEOUT_MS,
    logLevel: settings.CACHE_LOG,
    answersTtlMs: settings.REDIS_CACHE_TTL * 1_000,
  };
}
