import { once } from "node:events";
import { developmentPasswords, readApiConfig } from "@mythic/api/config";
import { startApi } from "@mythic/api/start";
import { watchQueue } from "@mythic/api/watch-queue";
import { createSealer, createStepModel, openConfiguredAnswers } from "@mythic/llm";
import { announceChanges, openCaching } from "@mythic/runs/cache";
import { openStore } from "@mythic/runs/store";
import { openBullMqWakeUps, openLocalWakeUps } from "@mythic/runs/wake-ups";
import { startWorker } from "@mythic/worker/start";
import { pino } from "pino";
import { readCliConfig } from "./config.ts";
import type { Terminal } from "./terminal.ts";

/** API and worker in this process, with the store and the Redis that the environment names, until it is told to stop. */
export async function serve(terminal: Terminal): Promise<void> {
  const config = readCliConfig(terminal.environment);
  const api = readApiConfig(terminal.environment);
  const logger = pino({ name: "mythic", level: api.logLevel, redact: ["*.headers.authorization"] });
  for (const connection of developmentPasswords(api))
    logger.warn({ connection }, "this connection uses the development password; set one in .env");

  await using stack = new AsyncDisposableStack();
  const sealer = createSealer(api.answers.encryptionKeys);
  const opened = stack.use(await openStore({ ...api, sealer }));
  const caching = stack.use(await openCaching({ config: api.cache, store: api, log: logger, reads: true }));
  const store = announceChanges(opened, caching.cache);
  const { queueRedisUrl: redisUrl } = api;
  const onError = (error: unknown) => logger.warn({ err: error }, "queue");
  const bullMq = redisUrl === null ? null : stack.use(await openBullMqWakeUps({ redisUrl, onError }));
  const local = stack.use(openLocalWakeUps());
  const { concurrency, drainMs } = config;
  const answers = await openConfiguredAnswers(api.answers, {
    store,
    caching,
    ttlMs: api.cache.answersTtlMs,
    instances: api.instances,
    callsAtOnce: concurrency,
  });
  if (answers !== null) stack.use(answers);
  const worker = startWorker({
    store,
    wakeUps: bullMq ?? local,
    ...(bullMq ? { fallback: local } : {}),
    model: answers && createStepModel({ ...api.answers, ...answers }),
    logger,
    concurrency,
    drainMs,
  });
  stack.defer(() => worker.close());
  const running = await startApi({
    config: api,
    store,
    wakeUps: bullMq ?? local,
    model: api.answers.model,
    answers,
    logger,
    cache: caching.cache,
    cacheRedis: caching.redis,
    queueRedis: watchQueue(stack, redisUrl, logger),
    namespace: caching.namespace,
    ...(bullMq ? { queue: bullMq.queue } : {}),
  });
  stack.defer(() => running.close());
  const { interruption } = terminal;
  terminal.err(`Mythic listens on ${running.url}, with ${store.kind} as its store. Ctrl-C stops it.\n`);
  if (!interruption.aborted) await once(interruption, "abort");
}
