import { answerSettings, answersConfigOf } from "@mythic/llm";
import { cacheConfigOf, cacheSettings } from "@mythic/runs/cache";
import {
  type Environment,
  logSettings,
  readSettings,
  redisSettings,
  redisUrlOf,
  storeSettings,
  wholeNumber,
} from "@mythic/runs/settings";
import { z } from "zod";
import { POLICIES, policiesSchema } from "./policies.ts";
import { MAX_BOOK_BYTES, MAX_USER_BYTES } from "./upload-limits.ts";

/** Everything the API reads from its environment. */
export const apiSettings = z.object({
  ...storeSettings,
  ...redisSettings,
  ...cacheSettings,
  ...answerSettings,
  ...logSettings,
  /** Where to listen. */
  PORT: wholeNumber(0, 65_535).default(3_000),
  /** 127.0.0.1 for this machine alone, 0.0.0.0 for everyone who can reach it. */
  HOST: z.string().min(1).default("127.0.0.1"),
  /** Whether Bull Board may change anything. */
  MYTHIC_BOARD_WRITE: z
    .enum(["true", "false"])
    .default("false")
    .transform((text) => text === "true"),
  /** Bytes of one book. */
  MAX_BOOK_BYTES: wholeNumber(1, 2_000_000_000).default(MAX_BOOK_BYTES),
  /** Bytes of all books of a user together. */
  MAX_USER_BYTES: wholeNumber(1, 1_000_000_000_000_000).default(MAX_USER_BYTES),
  /** What users may ask how often: JSON that overrides some of `POLICIES`, or `off`. */
  RATE_LIMITS: policiesSchema.optional(),
  /** How many API processes there are: while Redis is down, each takes its part of the limits. */
  RATE_LIMIT_INSTANCES: wholeNumber(1, 10_000).default(1),
  /** Requests that take longer are logged as warnings, in milliseconds. */
  SLOW_REQUEST_MS: wholeNumber(1, 3_600_000).default(1_000),
  /** How long a session lasts, in seconds. */
  REDIS_SESSION_TTL: wholeNumber(1, 2_592_000).default(86_400),
});

export type ApiConfig = ReturnType<typeof readApiConfig>;

/** @throws SettingsError or ConfigurationError naming every variable that cannot be used */
export function readApiConfig(environment: Environment) {
  const settings = readSettings(apiSettings, environment);
  return {
    host: settings.HOST,
    port: settings.PORT,
    mongodbUrl: settings.MONGODB_URL ?? null,
    dataDir: settings.MYTHIC_DATA_DIR,
    queueRedisUrl: redisUrlOf(settings, "queue"),
    cache: cacheConfigOf(settings),
    answers: answersConfigOf(settings),
    boardWrite: settings.MYTHIC_BOARD_WRITE,
    maxBookBytes: settings.MAX_BOOK_BYTES,
    maxUserBytes: settings.MAX_USER_BYTES,
    policies: settings.RATE_LIMITS ?? POLICIES,
    instances: settings.RATE_LIMIT_INSTANCES,
    slowRequestMs: settings.SLOW_REQUEST_MS,
    sessionTtlSeconds: settings.REDIS_SESSION_TTL,
    logLevel: settings.LOG_LEVEL,
  };
}

/** The password that docker-compose.yaml gives when nobody has set one. */
const DEVELOPMENT_PASSWORD = "mythic-development";

/** Which connections use a password that everyone knows, for a warning. */
export function developmentPasswords(config: ApiConfig): readonly string[] {
  const urls = { store: config.mongodbUrl, queue: config.queueRedisUrl, cache: config.cache.redisUrl };
  return Object.entries(urls)
    .filter(([, url]) => url?.includes(`:${DEVELOPMENT_PASSWORD}@`))
    .map(([name]) => name);
}
