import { ConfigurationError, createSealer, createStepModel, openConfiguredAnswers } from "@mythic/llm";
import { announceChanges, openCaching } from "@mythic/runs/cache";
import { runUntilSignalled } from "@mythic/runs/process";
import { SettingsError } from "@mythic/runs/settings";
import { openStore } from "@mythic/runs/store";
import { openLocalWakeUps, openWakeUps } from "@mythic/runs/wake-ups";
import { pino } from "pino";
import { readWorkerConfig, type WorkerConfig } from "./config.ts";
import { startHealthServer } from "./health-server.ts";
import { Metrics } from "./metrics.ts";
import { startWorker } from "./start.ts";

try {
  await run(readWorkerConfig(process.env));
} catch (error) {
  process.exitCode = 1;
  if (!(error instanceof SettingsError || error instanceof ConfigurationError)) throw error;
  process.stderr.write(`The worker cannot start with these settings:\n${error.message}\n`);
}

function run(config: WorkerConfig): Promise<void> {
  const logger = pino({ name: "worker", level: config.logLevel });
  return runUntilSignalled(async (stack, signal) => {
    const { answers: answersConfig, concurrency, drainMs } = config;
    const sealer = createSealer(answersConfig.encryptionKeys);
    const opened = stack.use(await openStore({ ...config, sealer }));
    const caching = stack.use(
      await openCaching({ config: config.cache, store: config, log: logger, reads: false }),
    );
    const store = announceChanges(opened, caching.cache);
    const metrics = new Metrics(caching);
    if (config.port !== null) {
      // Disposed of after the worker: it is alive, and not ready, for as long as it drains.
      const ready = () => (signal.aborted ? Promise.reject(new Error("stopping")) : store.ping());
      stack.use(await startHealthServer({ port: config.port, ready, metrics }));
    }
    const onError = (error: unknown) => logger.warn({ err: error }, "queue");
    const wakeUps = stack.use(await openWakeUps({ queueRedisUrl: config.queueRedisUrl, onError }));
    const fallback = wakeUps.kind === "local" ? null : stack.use(openLocalWakeUps());
    const open = await openConfiguredAnswers(answersConfig, {
      store,
      caching,
      ttlMs: config.cache.answersTtlMs,
      callsAtOnce: concurrency,
    });
    if (open !== null) stack.use(open);
    const model = open && createStepModel({ ...answersConfig, ...open });
    const worker = startWorker({
      store,
      wakeUps,
      ...(fallback ? { fallback } : {}),
      model,
      logger,
      concurrency,
      drainMs,
      onStep: (step) => metrics.countStep(step),
    });
    stack.defer(() => worker.close());
    logger.info(
      { store: store.kind, wakeUps: wakeUps.kind, model: answersConfig.model, concurrency },
      "worker started",
    );
  }, config.drainMs + 30_000);
}
