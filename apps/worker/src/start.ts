import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import type { Model } from "@mythic/llm";
import { Dispatcher, STEP_POLICY, type StepPolicy, type Store, type WakeUps } from "@mythic/runs";
import type { Logger } from "pino";
import type { WorkedStep } from "./metrics.ts";
import { executeStep } from "./steps/execute-step.ts";
import { StepWorker } from "./work-step.ts";

export interface WorkerParts {
  readonly store: Store;
  readonly wakeUps: WakeUps;
  /** Takes over while the queue cannot be reached. */
  readonly fallback?: WakeUps;
  /** Null runs the offline methods only. */
  readonly model: Model | null;
  readonly logger: Logger;
  /** Steps at once; with a model the calls at once, see `stepsAtOnce`. */
  readonly concurrency: number;
  /** How long steps at work may go on after `close` before they are handed back. */
  readonly drainMs: number;
  readonly policy?: StepPolicy;
  /** Told of each step that was worked on. */
  readonly onStep?: (step: WorkedStep) => void;
}

export interface RunningWorker {
  /** Takes no more steps; resolves when those at work have ended or were handed back. */
  close(): Promise<void>;
}

const MOST_AHEAD = 4;

/** Starts taking steps. */
export function startWorker(parts: WorkerParts): RunningWorker {
  const { store, wakeUps, fallback, logger, concurrency, drainMs } = parts;
  const policy = parts.policy ?? STEP_POLICY;
  const dispatcher = new Dispatcher({
    store,
    wakeUps,
    policy,
    ...(fallback ? { fallback } : {}),
    onError: (error, doing) => logger.warn({ err: error, doing }, "dispatcher will try again"),
    onRecovered: (steps) =>
      logger.warn({ steps: steps.map((step) => step.id) }, "steps taken back from a lost worker"),
  });
  const worker = new StepWorker({
    store,
    execute: executeStep({ store, model: parts.model }),
    onRest: (step) => dispatcher.advance(step),
    onHastened: () => dispatcher.poke(),
    owner: `${hostname()}.${process.pid}.${randomUUID().slice(0, 8)}`,
    policy,
    logger,
    ...(parts.onStep ? { onStep: parts.onStep } : {}),
  });
  const handler = (stepId: string) => worker.work(stepId);
  const atOnce = stepsAtOnce(concurrency, parts.model);
  const listeners = [wakeUps, ...(fallback ? [fallback] : [])].map((source) =>
    source.listen(handler, atOnce),
  );
  const stopping = new AbortController();
  const dispatching = dispatcher.run(stopping.signal);

  const close = async () => {
    stopping.abort();
    const drained = Promise.all(listeners.map((listener) => listener.close()));
    const deadline = setTimeout(() => worker.interrupt("draining"), drainMs);
    await Promise.all([drained, dispatching]);
    clearTimeout(deadline);
    await worker.close();
  };
  return { close };
}

/**
 * A step waits for the store before and after its call. While it does, one that was taken ahead has its turn, so that no call slot is
 * empty. Not many more: what is taken here is not taken by a worker that has nothing to do.
 */
function stepsAtOnce(concurrency: number, model: Model | null): number {
  return model === null ? concurrency : concurrency + Math.min(MOST_AHEAD, concurrency);
}
