import { answerSettings, answersConfigOf } from "@mythic/llm";
import { cacheConfigOf, cacheSettings } from "@mythic/runs/cache";
import { logSettings, readSettings, redisSettings, storeSettings, wholeNumber } from "@mythic/runs/settings";
import { z } from "zod";
import type { Terminal } from "./terminal.ts";

/** Everything the command line itself reads of its environment. `serve` reads what the API and the worker read, too. */
export const cliSettings = z.object({
  ...storeSettings,
  ...redisSettings,
  ...cacheSettings,
  ...answerSettings,
  LOG_LEVEL: logSettings.LOG_LEVEL.unwrap().default("silent"),
  /** The API to talk to. Without it everything happens in this process. */
  MYTHIC_SERVER: answerSettings.OPENAI_BASE_URL,
  MYTHIC_KEY: z.string().min(1).optional(),
  WORKER_CONCURRENCY: wholeNumber(1, 1_000).default(8),
  WORKER_DRAIN_MS: wholeNumber(0, 3_600_000).default(20_000),
});

export type CliConfig = ReturnType<typeof readCliConfig>;

/** @throws SettingsError or ConfigurationError naming every variable that cannot be used */
export function readCliConfig(environment: Terminal["environment"]) {
  const settings = readSettings(cliSettings, environment);
  return {
    mongodbUrl: settings.MONGODB_URL ?? null,
    dataDir: settings.MYTHIC_DATA_DIR,
    cache: cacheConfigOf(settings),
    answers: answersConfigOf(settings),
    concurrency: settings.WORKER_CONCURRENCY,
    drainMs: settings.WORKER_DRAIN_MS,
    logLevel: settings.LOG_LEVEL,
    server: settings.MYTHIC_SERVER ?? null,
    key: settings.MYTHIC_KEY ?? null,
  };
}
