import {
  type Environment,
  logSettings,
  modelOf,
  modelSettings,
  readSettings,
  redisSettings,
  redisUrlOf,
  storeSettings,
  wholeNumber,
} from "@mythic/runs/settings";
import { z } from "zod";
import { MAX_BOOK_BYTES, MAX_USER_BYTES } from "./limits.ts";

/** Everything the API reads from its environment. */
export const apiSettings = z.object({
  ...storeSettings,
  ...redisSettings,
  ...modelSettings,
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
  /** How long the cache keeps what a family does not say itself, in seconds. */
  REDIS_CACHE_TTL: wholeNumber(1, 2_592_000).default(3_600),
  /** How long a session lasts, in seconds. */
  REDIS_SESSION_TTL: wholeNumber(1, 2_592_000).default(86_400),
});

export type ApiConfig = ReturnType<typeof readApiConfig>;

/** @throws SettingsError naming every variable that cannot be used */
export function readApiConfig(environment: Environment) {
  const settings = readSettings(apiSettings, environment);
  return {
    host: settings.HOST,
    port: settings.PORT,
    mongodbUrl: settings.MONGODB_URL ?? null,
    dataDir: settings.MYTHIC_DATA_DIR,
    queueRedisUrl: redisUrlOf(settings, "queue"),
    cacheRedisUrl: redisUrlOf(settings, "cache"),
    model: modelOf(settings),
    boardWrite: settings.MYTHIC_BOARD_WRITE,
    maxBookBytes: settings.MAX_BOOK_BYTES,
    maxUserBytes: settings.MAX_USER_BYTES,
    cacheTtlSeconds: settings.REDIS_CACHE_TTL,
    sessionTtlSeconds: settings.REDIS_SESSION_TTL,
    logLevel: settings.LOG_LEVEL,
  };
}

/** The password that docker-compose.yaml gives when nobody has set one. */
const DEVELOPMENT_PASSWORD = "mythic-development";

/** Which connections use a password that everyone knows, for a warning. */
export function developmentPasswords(config: ApiConfig): readonly string[] {
  const urls = { store: config.mongodbUrl, queue: config.queueRedisUrl, cache: config.cacheRedisUrl };
  return Object.entries(urls)
    .filter(([, url]) => url?.includes(`:${DEVELOPMENT_PASSWORD}@`))
    .map(([name]) => name);
}
