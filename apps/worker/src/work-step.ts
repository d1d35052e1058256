import { setTimeout as delay } from "node:timers/promises";
import {
  isTerminal,
  type Run,
  retryDelayMs,
  type Step,
  type StepPolicy,
  type Store,
  StoreUnavailableError,
  type WakeUpOutcome,
} from "@mythic/runs";
import type { Logger } from "pino";
import { Interruption, type InterruptionReason } from "./interruption.ts";
import { keepLease } from "./keep-lease.ts";
import type { WorkedStep } from "./metrics.ts";
import { failureOf, type StepFailure } from "./step-error.ts";

/** How often the runs of the steps at work are looked at, to see that someone cancelled them. */
const WATCH_MS = 500;
/** Between two tries to write a result while the store is away. */
const STORE_RETRY_MS = 500;
/** No one who refuses may put a step off for longer: a mistaken header would keep its run from ever ending. */
const LONGEST_WAIT_MS = 24 * 3_600_000;

export interface StepContext {
  readonly step: Step;
  /** Null for a book's parse step. */
  readonly run: Run | null;
  readonly signal: AbortSignal;
  /** Rejects with an Interruption once the run is to stop. */
  readonly assertWanted: () => Promise<void>;
}

export interface StepOutcome {
  readonly value: unknown;
  readonly reusedAnswers: number;
}

export type ExecuteStep = (context: StepContext) => Promise<StepOutcome>;

export interface StepWorkerOptions {
  readonly store: Store;
  readonly execute: ExecuteStep;
  /** Called when a step is at rest, to take its run or book further. */
  readonly onRest: (step: Step) => Promise<void>;
  /** Names this process in the store. */
  readonly owner: string;
  readonly policy: StepPolicy;
  readonly logger: Logger;
  /** Called when a step that was put off is due earlier. */
  readonly onHastened?: () => void;
  /** Told of each step that was worked on. */
  readonly onStep?: (step: WorkedStep) => void;
}

/**
 * Works on steps: claims one, keeps its lease while it executes, and writes how it ended, always under the fence of the
 * claim. Whatever cuts the work short from outside (lease lost, run cancelled, worker stopping) aborts its signal.
 */
export class StepWorker {
  readonly #options: StepWorkerOptions;
  readonly #atWork = new Map<AbortController, Step>();
  readonly #resting = new Set<Promise<void>>();
  readonly #watch: NodeJS.Timeout;
  #watching = false;
  #stopped: Interruption | null = null;
  readonly #closing = new AbortController();

  constructor(options: StepWorkerOptions) {
    this.#options = options;
    this.#watch = setInterval(() => void this.#abortCancelled(), WATCH_MS);
    this.#watch.unref();
  }

  /** Aborts everything at work and whatever is claimed from now on; the steps are handed back at no cost. */
  interrupt(reason: InterruptionReason): void {
    this.#stopped = new Interruption(reason);
    for (const controller of this.#atWork.keys()) controller.abort(this.#stopped);
  }

  /** Resolves when what follows the steps that ended is done. Nothing may be at work any more. */
  async close(): Promise<void> {
    clearInterval(this.#watch);
    this.#closing.abort();
    await Promise.all(this.#resting);
  }

  /** Works on a step if it can be claimed. Never rejects. */
  async work(stepId: string): Promise<WakeUpOutcome> {
    const { store, owner, policy, logger } = this.#options;
    try {
      const step = await store.steps.claim(stepId, owner, policy.leaseMs);
      if (!step) return { state: "skipped" };
      return await this.#workOn(step);
    } catch (error) {
      logger.error({ err: error, step: stepId }, "step not worked on");
      // It is still due: without a pause it would be offered again at once, and again.
      await delay(STORE_RETRY_MS);
      return { state: "skipped" };
    }
  }

  async #workOn(step: Step): Promise<WakeUpOutcome> {
    const { store, execute, policy, logger, onStep } = this.#options;
    const controller = new AbortController();
    const { signal } = controller;
    this.#atWork.set(controller, step);
    if (this.#stopped) controller.abort(this.#stopped);
    const startedAt = performance.now();
    const release = keepLease({ store, step, leaseMs: policy.leaseMs, controller });
    let outcome: WakeUpOutcome;
    try {
      const run = step.runId === null ? null : await store.runs.get(step.user, step.runId);
      const assertWanted = this.#checkWanted(step, signal);
      if (step.runId !== null && !isWanted(run)) throw new Interruption("cancelled");
      signal.throwIfAborted();
      const made = await execute({ step, run, signal, assertWanted });
      outcome = await this.#complete(step, made, signal);
    } catch (error) {
      outcome = await this.#end(step, signal.aborted ? signal.reason : error).catch((cause: unknown) => {
        logger.error({ err: cause, step: step.id }, "end of step not written; its lease will run out");
        return { state: "skipped" } as const;
      });
    } finally {
      release();
      this.#atWork.delete(controller);
    }
    const ms = Math.round(performance.now() - startedAt);
    const line = {
      step: step.id,
      run: step.runId,
      book: step.bookId,
      kind: step.kind,
      ms,
      state: outcome.state,
    };
    logger.info(outcome.error ? { ...line, error: outcome.error } : line, "step");
    onStep?.({ kind: step.kind, state: outcome.state, ms });
    this.#rest(step);
    return { ...outcome, log: [`${step.title}: ${outcome.state} after ${ms} ms, fence ${step.fence}`] };
  }

  async #complete(step: Step, made: StepOutcome, signal: AbortSignal): Promise<WakeUpOutcome> {
    const kept = await this.#persist(signal, () =>
      this.#options.store.steps.complete(step.id, step.fence, made),
    );
    return { state: kept ? "done" : "skipped" };
  }

  async #end(step: Step, error: unknown): Promise<WakeUpOutcome> {
    const { store, policy, logger } = this.#options;
    if (error instanceof Interruption) return this.#interrupted(step, error.reason);
    const failure = failureOf(error);
    if (failure.code === "internal_error")
      logger.error({ err: error, step: step.id }, "unexpected error in a step");
    if (failure.postpones) return await this.#postpone(step, failure);
    const attempts = step.attempts + 1;
    const again = failure.retryable && attempts < policy.maxAttempts;
    const waitMs = Math.max(Math.min(failure.retryAfterMs, LONGEST_WAIT_MS), retryDelayMs(attempts, policy));
    const retryAt = again ? new Date(Date.now() + waitMs) : null;
    const { code, detail } = failure;
    const kept = await this.#persist(AbortSignal.timeout(policy.leaseMs), () =>
      store.steps.fail(step.id, step.fence, { code, detail }, retryAt),
    );
    // Whoever has the step now will say how it went.
    if (!kept) return { state: "skipped" };
    return { state: "failed", error: `${code}: ${detail}${retryAt ? " (will be tried again)" : ""}` };
  }

  /** At no cost, with the reason in the store. The slot is free at once. */
  async #postpone(step: Step, { code, detail, retryAfterMs, sooner }: StepFailure): Promise<WakeUpOutcome> {
    const { store, policy } = this.#options;
    const askedMs = retryAfterMs > 0 ? retryAfterMs : policy.retryBaseMs;
    // Steps that were told the same time are not to come back at the same moment.
    const waitMs = Math.round(Math.min(askedMs, LONGEST_WAIT_MS) + Math.random() * policy.retryBaseMs);
    const until = new Date(Date.now() + waitMs);
    const kept = await this.#persist(AbortSignal.timeout(policy.leaseMs), () =>
      store.steps.postpone(step.id, step.fence, { code, detail }, until),
    );
    if (!kept) return { state: "skipped" };
    if (sooner !== null)
      this.#hasten(step, sooner(AbortSignal.any([this.#closing.signal, AbortSignal.timeout(waitMs)])));
    return { state: "postponed", error: `${code}: ${detail}` };
  }

  /** Makes a postponed step due as soon as what it waits for is there. */
  #hasten(step: Step, isThere: Promise<void>): void {
    const { store, logger, onHastened } = this.#options;
    const hasten = async () => {
      await isThere;
      if (this.#closing.signal.aborted) return;
      await store.steps.hasten(step.id);
      onHastened?.();
    };
    void hasten().catch((error: unknown) =>
      logger.debug({ err: error, step: step.id }, "step not hastened; it has its time"),
    );
  }

  async #interrupted(step: Step, reason: InterruptionReason): Promise<WakeUpOutcome> {
    const { store, policy } = this.#options;
    const { id, fence } = step;
    const write = {
      draining: () => store.steps.handBack(id, fence),
      cancelled: () => store.steps.cancel(id, fence),
      lease_lost: null,
    }[reason];
    if (write) await this.#persist(AbortSignal.timeout(policy.leaseMs), write);
    return { state: "skipped" };
  }

  /** Writes even if the store is away for a while: what was made may have cost money. Gives up with the lease. */
  async #persist(signal: AbortSignal, write: () => Promise<boolean>): Promise<boolean> {
    for (;;) {
      try {
        return await write();
      } catch (error) {
        if (!(error instanceof StoreUnavailableError) || signal.aborted) throw error;
        await delay(STORE_RETRY_MS, undefined, { signal });
      }
    }
  }

  /** What was seen of the run just now need not be asked again. */
  #checkWanted(step: Step, signal: AbortSignal): () => Promise<void> {
    const { runId, user } = step;
    let seenAt = performance.now();
    return async () => {
      signal.throwIfAborted();
      if (runId === null || performance.now() - seenAt < WATCH_MS) return;
      if (!isWanted(await this.#options.store.runs.get(user, runId))) throw new Interruption("cancelled");
      seenAt = performance.now();
      signal.throwIfAborted();
    };
  }

  async #abortCancelled(): Promise<void> {
    // A store that is slow to answer must not be asked ever more at once.
    if (this.#watching) return;
    this.#watching = true;
    try {
      await this.#abortUnwanted();
    } finally {
      this.#watching = false;
    }
  }

  async #abortUnwanted(): Promise<void> {
    const { store } = this.#options;
    const runs = new Map([...this.#atWork.values()].map((step) => [step.runId, step.user]));
    for (const [runId, user] of runs) {
      if (runId === null) continue;
      const run = await store.runs.get(user, runId).catch(() => undefined);
      if (run === undefined || isWanted(run)) continue;
      for (const [controller, step] of this.#atWork) {
        if (step.runId === runId) controller.abort(new Interruption("cancelled"));
      }
    }
  }

  /** Takes the run or book further without holding the worker's slot. */
  #rest(step: Step): void {
    const resting = this.#options.onRest(step).catch((error: unknown) => {
      this.#options.logger.warn({ err: error, step: step.id }, "run not advanced; the dispatcher will");
    });
    this.#resting.add(resting);
    void resting.finally(() => this.#resting.delete(resting));
  }
}

function isWanted(run: Run | null): run is Run {
  return run !== null && !isTerminal(run.status) && run.status !== "cancelling";
}
