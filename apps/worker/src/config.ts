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

/** Everything the worker reads from its environment. */
export const workerSettings = z.object({
  ...storeSettings,
  ...redisSettings,
  ...cacheSettings,
  ...answerSettings,
  ...logSettings,
  /** Steps worked on at once. */
  WORKER_CONCURRENCY: wholeNumber(1, 1_000).default(8),
  /** How long steps at work may go on after SIGTERM before they are handed back. */
  WORKER_DRAIN_MS: wholeNumber(0, 3_600_000).default(20_000),
  /** Port of the worker's own health routes and figures. */
  WORKER_PORT: wholeNumber(0, 65_535).optional(),
});

export type WorkerConfig = ReturnType<typeof readWorkerConfig>;

/** @throws SettingsError or ConfigurationError naming every variable that cannot be used */
export function readWorkerConfig(environment: Environment) {
  const settings = readSettings(workerSettings, environment);
  return {
    mongodbUrl: settings.MONGODB_URL ?? null,
    dataDir: settings.MYTHIC_DATA_DIR,
    queueRedisUrl: redisUrlOf(settings, "queue"),
    cache: cacheConfigOf(settings),
    answers: answersConfigOf(settings),
    concurrency: settings.WORKER_CONCURRENCY,
    drainMs: settings.WORKER_DRAIN_MS,
    port: settings.WORKER_PORT ?? null,
    logLevel: settings.LOG_LEVEL,
  };
}
