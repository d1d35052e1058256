import { once } from "node:events";
import { developmentPasswords, readApiConfig } from "@mythic/api/config";
import { startApi } from "@mythic/api/start";
import { openStore } from "@mythic/runs/store";
import { openBullMqWakeUps, openLocalWakeUps } from "@mythic/runs/wake-ups";
import { checkRedis, closeRedis, connectRedis } from "@mythic/shared/redis";
import { startWorker } from "@mythic/worker/start";
import { type Logger, pino } from "pino";
import { readCliConfig } from "./config.ts";
import { openModel } from "./open-model.ts";
import type { Terminal } from "./terminal.ts";

/** API and worker in this process, with the store and the Redis that the environment names, until it is told to stop. */
export async function serve(terminal: Terminal): Promise<void> {
  const config = readCliConfig(terminal.environment);
  const api = readApiConfig(terminal.environment);
  const logger = pino({ name: "mythic", level: api.logLevel, redact: ["*.headers.authorization"] });
  for (const connection of developmentPasswords(api))
    logger.warn({ connection }, "this connection uses the development password; set one in .env");

  await using stack = new AsyncDisposableStack();
  const store = stack.use(await openStore(api));
  const { queueRedisUrl: redisUrl } = api;
  const onError = (error: unknown) => logger.warn({ err: error }, "queue");
  const bullMq = redisUrl === null ? null : stack.use(await openBullMqWakeUps({ redisUrl, onError }));
  const local = stack.use(openLocalWakeUps());
  const { concurrency, drainMs } = config;
  const worker = startWorker({
    store,
    wakeUps: bullMq ?? local,
    ...(bullMq ? { fallback: local } : {}),
    model: openModel(config, store.ledger),
    logger,
    concurrency,
    drainMs,
  });
  stack.defer(() => worker.close());
  const running = await startApi({
    config: api,
    store,
    wakeUps: bullMq ?? local,
    model: config.model?.name ?? null,
    logger,
    queueRedis: openCheck(stack, redisUrl, logger),
    cacheRedis: openCheck(stack, api.cacheRedisUrl, logger),
    ...(bullMq ? { queue: bullMq.queue } : {}),
  });
  stack.defer(() => running.close());
  const { interruption } = terminal;
  terminal.err(`Mythic listens on ${running.url}, with ${store.kind} as its store. Ctrl-C stops it.\n`);
  if (!interruption.aborted) await once(interruption, "abort");
}

/** Asks a role's Redis how it is, over a connection of its own: a queue that is busy is not gone. */
function openCheck(stack: AsyncDisposableStack, url: string | null, logger: Logger) {
  if (url === null) return null;
  const onError = (error: unknown) => logger.warn({ err: error }, "redis");
  const redis = connectRedis(url, "queue-producer", { connectionName: "mythic:health", onError });
  stack.defer(() => closeRedis(redis));
  return () => checkRedis(redis);
}
