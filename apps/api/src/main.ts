import { runUntilSignalled } from "@mythic/runs/process";
import { SettingsError } from "@mythic/runs/settings";
import { openStore } from "@mythic/runs/store";
import { openBullMqWakeUps, openLocalWakeUps } from "@mythic/runs/wake-ups";
import { checkRedis, closeRedis, connectRedis } from "@mythic/shared/redis";
import { type Logger, pino } from "pino";
import { type ApiConfig, developmentPasswords, readApiConfig } from "./config.ts";
import type { RedisCheck } from "./redis-state.ts";
import { startApi } from "./start.ts";

try {
  await run(readApiConfig(process.env));
} catch (error) {
  process.exitCode = 1;
  if (!(error instanceof SettingsError)) throw error;
  process.stderr.write(`The API cannot start with these settings:\n${error.message}\n`);
}

function run(config: ApiConfig): Promise<void> {
  const redact = ["authorization", "*.authorization", "*.headers.authorization"];
  const logger = pino({ name: "api", level: config.logLevel, redact });
  for (const name of developmentPasswords(config)) {
    logger.warn({ connection: name }, "this connection uses the development password; set one in .env");
  }
  return runUntilSignalled(async (stack) => {
    const store = stack.use(await openStore(config));
    const { queueRedisUrl, cacheRedisUrl } = config;
    const onError = (error: unknown) => logger.warn({ err: error }, "queue");
    const bullMq =
      queueRedisUrl === null ? null : await openBullMqWakeUps({ redisUrl: queueRedisUrl, onError });
    const wakeUps = stack.use(bullMq ?? openLocalWakeUps());
    const api = await startApi({
      config,
      store,
      wakeUps,
      model: config.model?.name ?? null,
      logger,
      queueRedis: openCheck(stack, queueRedisUrl, logger),
      cacheRedis: openCheck(stack, cacheRedisUrl, logger),
      ...(bullMq ? { queue: bullMq.queue } : {}),
    });
    stack.defer(() => api.close());
    const { url } = api;
    logger.info(
      { url, store: store.kind, wakeUps: wakeUps.kind, model: config.model?.name ?? null },
      "api started",
    );
  });
}

/** A connection of its own, so that a queue that is busy is not mistaken for a Redis that is gone. */
function openCheck(stack: AsyncDisposableStack, url: string | null, logger: Logger): RedisCheck {
  if (url === null) return null;
  const onError = (error: unknown) => logger.warn({ err: error }, "redis");
  const redis = connectRedis(url, "queue-producer", { connectionName: "mythic:health", onError });
  stack.defer(() => closeRedis(redis));
  return () => checkRedis(redis);
}
