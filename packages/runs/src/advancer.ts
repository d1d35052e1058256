import { setTimeout as delay } from "node:timers/promises";
import type { ParseResult } from "./book.ts";
import { decideRun } from "./decide-run.ts";
import { planRun } from "./plan-run.ts";
import { isTerminal, type Run } from "./run.ts";
import type { NewStep, Step } from "./step.ts";
import type { Store } from "./store.ts";

/** Changes by others that one round may run into before it gives up and leaves the rest to the dispatcher. */
const MAX_CONFLICTS = 20;
/** Steps of the plans kept in memory, about 50 MB. A plan never changes, and the larger the book the dearer it is. */
const MAX_PLANNED_STEPS = 100_000;
/**
 * After a round a run rests, by the number of its steps: a round reads them all, about 10 µs each, and those of a book of
 * thousands of chapters may end faster than that. So rounds take a quarter of the time at most. A rest that would be shorter
 * than the second figure is none.
 */
const REST_MS_PER_STEP = 0.03;
const SHORTEST_REST_MS = 20;
const LONGEST_REST_MS = 250;

export interface AdvancerOptions {
  readonly store: Store;
  /** Told of steps that became pending just now. Must not reject. */
  readonly onPending: (steps: readonly PendingStep[]) => Promise<void>;
  /** Told of every change of a run. */
  readonly onRunChanged?: (run: Run) => void;
}

/** A step that can be claimed from now on, with the number of wake-ups sent for it so far. */
export type PendingStep = NewStep & Pick<Step, "dispatches">;

/**
 * Takes runs and books to what their steps say they are now. Everything it writes can be written again, so it may be asked
 * by any process at any time: after a step ended, after an upload, and by the dispatcher to mend what a kill left.
 */
export class Advancer {
  readonly #options: AdvancerOptions;
  readonly #plans = new Map<string, readonly NewStep[]>();
  readonly #rounds = new Map<string, Round>();

  constructor(options: AdvancerOptions) {
    this.#options = options;
  }

  /**
   * Resolves when the run reflects everything stored before the call. Calls for one run that come while one is at work, or
   * rests, share the one after it: a thousand steps that end together cost a few rounds, not a thousand.
   */
  advanceRun(user: string, runId: string): Promise<void> {
    const current = this.#rounds.get(runId);
    if (current) {
      current.next ??= current.over.then(() => this.advanceRun(user, runId));
      return current.next;
    }
    const advanced = this.#advanceOnce(user, runId);
    const over = advanced
      .catch(() => 0)
      .then(rest)
      .then(() => {
        this.#rounds.delete(runId);
      });
    this.#rounds.set(runId, { over, next: null });
    return advanced.then(() => undefined);
  }

  /** Makes a book what its parse step says, inserts that step when it is missing, and advances the runs that wait for it. */
  async advanceBook(user: string, bookId: string): Promise<void> {
    const { store, onPending } = this.#options;
    const book = await store.books.get(user, bookId);
    if (!book || book.status === "ready" || book.status === "refused") return this.#advanceRunsOf(bookId);
    const step = parseStep(user, bookId);
    if ((await store.steps.insert(user, [step])) > 0) await onPending([{ ...step, dispatches: 0 }]);
    const stored = await store.steps.get(user, step.id);
    if (stored?.state === "done") {
      const [result] = await store.steps.results(user, [step.id]);
      if (result) await applyParseResult(store, { user, bookId }, result.value as ParseResult);
    } else if (stored?.state === "failed" || stored?.state === "dead") {
      const error = stored.error ?? {
        code: "parsing_crashed",
        detail: "Reading this file crashed the reader.",
      };
      await store.books.markRefused(user, bookId, error);
    }
    return this.#advanceRunsOf(bookId);
  }

  async #advanceRunsOf(bookId: string): Promise<void> {
    const runs = await this.#options.store.dispatch.liveRunsOfBook(bookId);
    await Promise.all(runs.map((run) => this.advanceRun(run.user, run.id)));
  }

  /** Answers how many steps the run has. */
  async #advanceOnce(user: string, runId: string): Promise<number> {
    const { store, onPending, onRunChanged } = this.#options;
    let size = 0;
    for (let conflicts = 0; conflicts < MAX_CONFLICTS; ) {
      const run = await store.runs.get(user, runId);
      if (!run || isTerminal(run.status)) {
        this.#plans.delete(runId);
        return size;
      }
      const [book, steps, spent] = await Promise.all([
        store.books.get(user, run.bookId),
        store.steps.ofRun(user, runId),
        store.ledger.spent(user, runId),
      ]);
      size = steps.length;
      const plan = book?.status === "ready" ? await this.#plan(run) : [];
      const decision = decideRun({ run, book, plan, steps, spent });
      if (decision.cancelPending) {
        await store.steps.cancelPending(user, runId);
        continue;
      }
      if (decision.insert.length > 0) {
        await store.steps.insert(user, decision.insert);
        const dispatches = new Map(steps.map((step) => [step.id, step.dispatches]));
        await onPending(
          decision.insert.map((step) => ({ ...step, dispatches: dispatches.get(step.id) ?? 0 })),
        );
      }
      if (!decision.change) return size;
      const changed = await store.runs.update(user, runId, run.revision, decision.change);
      if (changed) {
        onRunChanged?.(changed);
        return size;
      }
      conflicts++;
    }
    return size;
  }

  async #plan(run: Run): Promise<readonly NewStep[]> {
    const known = this.#plans.get(run.id);
    if (known) return known;
    const plan = planRun(run, await this.#options.store.books.outlines(run.user, run.bookId));
    this.#plans.set(run.id, plan);
    let planned = 0;
    for (const { length } of this.#plans.values()) planned += length;
    for (const [oldest, { length }] of this.#plans) {
      if (planned <= MAX_PLANNED_STEPS || oldest === run.id) break;
      this.#plans.delete(oldest);
      planned -= length;
    }
    return plan;
  }
}

interface Round {
  /** Resolves when the next may begin. */
  readonly over: Promise<void>;
  next: Promise<void> | null;
}

async function rest(steps: number): Promise<void> {
  const restMs = Math.min(LONGEST_REST_MS, steps * REST_MS_PER_STEP);
  if (restMs >= SHORTEST_REST_MS) await delay(restMs);
}

/** The one parse step of a book. */
export function parseStep(user: string, bookId: string): NewStep {
  return {
    id: `${bookId}.parse`,
    user,
    bookId,
    runId: null,
    kind: "parse",
    recipe: null,
    unit: "",
    title: "parse",
    inputs: [],
  };
}

async function applyParseResult(
  store: Store,
  { user, bookId }: { user: string; bookId: string },
  result: ParseResult,
): Promise<void> {
  if (result.status === "ready") await store.books.markReady(user, bookId, result.edition, result.parsed);
  else await store.books.markRefused(user, bookId, result.error);
}
