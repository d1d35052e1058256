import { ConfigurationError, createSealer, openConfiguredAnswers } from "@mythic/llm";
import { announceChanges, openCaching } from "@mythic/runs/cache";
import { runUntilSignalled } from "@mythic/runs/process";
import { SettingsError } from "@mythic/runs/settings";
import { openStore } from "@mythic/runs/store";
import { openBullMqWakeUps, openLocalWakeUps } from "@mythic/runs/wake-ups";
import { pino } from "pino";
import { type ApiConfig, developmentPasswords, readApiConfig } from "./config.ts";
import { startApi } from "./start.ts";
import { watchQueue } from "./watch-queue.ts";

try {
  await run(readApiConfig(process.env));
} catch (error) {
  process.exitCode = 1;
  if (!(error instanceof SettingsError || error instanceof ConfigurationError)) throw error;
  process.stderr.write(`The API cannot start with these settings:\n${error.message}\n`);
}

function run(config: ApiConfig): Promise<void> {
  const redact = ["authorization", "*.authorization", "*.headers.authorization"];
  const logger = pino({ name: "api", level: config.logLevel, redact });
  for (const name of developmentPasswords(config)) {
    logger.warn({ connection: name }, "this connection uses the development password; set one in .env");
  }
  return runUntilSignalled(async (stack) => {
    const { cache: cacheConfig, queueRedisUrl, answers: answersConfig } = config;
    const sealer = createSealer(answersConfig.encryptionKeys);
    const opened = stack.use(await openStore({ ...config, sealer }));
    const caching = stack.use(
      await openCaching({ config: cacheConfig, store: config, log: logger, reads: true }),
    );
    const store = announceChanges(opened, caching.cache);
    const answers = await openConfiguredAnswers(answersConfig, {
      store,
      caching,
      ttlMs: cacheConfig.answersTtlMs,
      instances: config.instances,
    });
    if (answers !== null) stack.use(answers);
    const onError = (error: unknown) => logger.warn({ err: error }, "queue");
    const bullMq =
      queueRedisUrl === null ? null : await openBullMqWakeUps({ redisUrl: queueRedisUrl, onError });
    const wakeUps = stack.use(bullMq ?? openLocalWakeUps());
    const api = await startApi({
      config,
      store,
      wakeUps,
      model: answersConfig.model,
      answers,
      logger,
      cache: caching.cache,
      cacheRedis: caching.redis,
      queueRedis: watchQueue(stack, queueRedisUrl, logger),
      namespace: caching.namespace,
      ...(bullMq ? { queue: bullMq.queue } : {}),
    });
    stack.defer(() => api.close());
    const { url } = api;
    logger.info({ url, store: store.kind, wakeUps: wakeUps.kind, model: answersConfig.model }, "api started");
  });
}
