import { makeApiKey } from "@mythic/api/api-key";
import { NO_POLICIES } from "@mythic/api/policies";
import { startApi } from "@mythic/api/start";
import { createStepModel, openConfiguredAnswers } from "@mythic/llm";
import { openLocalWakeUps } from "@mythic/runs/wake-ups";
import { startWorker } from "@mythic/worker/start";
import { pino } from "pino";
import type { CliConfig } from "./config.ts";
import { FocusedStore } from "./focused-store.ts";
import { openStoreFor } from "./open-store.ts";

/** The whole of Mythic inside this process: SQLite, wake-ups without a queue, an API on a free port of the loopback address. */
export interface Embedded {
  readonly url: string;
  /** The only key that opens it. */
  readonly key: string;
  focus(bookId: string): void;
  /** Hands steps at work back, so that their run can be gone on with, and lets everything go. */
  close(): Promise<void>;
}

/** Whose books these are: the same user as that of a local server without keys. */
const USER = "local";
/**
 * How long calls under way may go on after an interruption, in milliseconds: most answers come within it and need not be paid
 * for again, and a person at a terminal still waits.
 */
const DRAIN_MS = 5_000;

export async function startEmbedded(
  config: CliConfig,
  { work }: { readonly work: boolean },
): Promise<Embedded> {
  await using stack = new AsyncDisposableStack();
  const logger = pino({ name: "mythic", level: config.logLevel }, process.stderr);
  const place = { mongodbUrl: null, dataDir: config.dataDir };
  const opened = stack.use(await openStoreFor(place, config, logger));
  const { key, id, sha256, lastFour } = makeApiKey();
  const focused = new FocusedStore(opened.store, {
    id,
    user: USER,
    role: "admin",
    sha256,
    lastFour,
    createdAt: new Date(),
    revokedAt: null,
  });
  const { store } = focused;
  const wakeUps = stack.use(openLocalWakeUps());
  if (work) {
    const { concurrency, answers } = config;
    const open = await openConfiguredAnswers(answers, {
      store,
      // Who works by itself has nobody to share with but the ledger.
      caching: { cache: null, redis: null, namespace: "mythic" },
      ttlMs: config.cache.answersTtlMs,
      callsAtOnce: concurrency,
    });
    if (open !== null) stack.use(open);
    const model = open && createStepModel({ ...answers, ...open });
    const drainMs = Math.min(DRAIN_MS, config.drainMs);
    const worker = startWorker({ store, wakeUps, model, logger, concurrency, drainMs });
    stack.defer(() => worker.close());
  }
  const api = await startApi({
    config: { host: "127.0.0.1", port: 0, policies: NO_POLICIES },
    store,
    wakeUps,
    model: config.answers.model,
    logger,
  });
  stack.defer(() => api.close());
  const held = stack.move();
  return {
    url: api.url,
    key,
    focus: (bookId) => focused.focus(bookId),
    close: () => held.disposeAsync(),
  };
}
