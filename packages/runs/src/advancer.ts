import type { ParseResult } from "./book.ts";
import { decideRun } from "./decide-run.ts";
import { planRun } from "./plan-run.ts";
import { isTerminal, type Run } from "./run.ts";
import type { NewStep, Step } from "./step.ts";
import type { Store } from "./store.ts";

/** Changes by others that one round may run into before it gives up and leaves the rest to the dispatcher. */
const MAX_CONFLICTS = 20;
/** Plans kept in memory. A plan never changes, and the larger the book the dearer it is. */
const MAX_PLANS = 200;

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
   * Resolves when the run reflects everything stored before the call. Calls for one run that come while one is at work share
   * the one after it: a thousand steps that end together cost a few rounds, not a thousand.
   */
  advanceRun(user: string, runId: string): Promise<void> {
    const current = this.#rounds.get(runId);
    if (current) {
      current.next ??= current.done.catch(() => undefined).then(() => this.advanceRun(user, runId));
      return current.next;
    }
    const round: Round = { done: this.#advanceOnce(user, runId), next: null };
    this.#rounds.set(runId, round);
    return round.done.finally(() => this.#rounds.delete(runId));
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

  async #advanceOnce(user: string, runId: string): Promise<void> {
    const { store, onPending, onRunChanged } = this.#options;
    for (let conflicts = 0; conflicts < MAX_CONFLICTS; ) {
      const run = await store.runs.get(user, runId);
      if (!run || isTerminal(run.status)) return;
      const [book, steps, spent] = await Promise.all([
        store.books.get(user, run.bookId),
        store.steps.ofRun(user, runId),
        store.ledger.spent(user, runId),
      ]);
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
      if (!decision.change) return;
      const changed = await store.runs.update(user, runId, run.revision, decision.change);
      if (changed) return onRunChanged?.(changed);
      conflicts++;
    }
  }

  async #plan(run: Run): Promise<readonly NewStep[]> {
    const known = this.#plans.get(run.id);
    if (known) return known;
    const plan = planRun(run, await this.#options.store.books.outlines(run.user, run.bookId));
    this.#plans.set(run.id, plan);
    for (const oldest of this.#plans.keys()) {
      if (this.#plans.size <= MAX_PLANS) break;
      this.#plans.delete(oldest);
    }
    return plan;
  }
}

interface Round {
  readonly done: Promise<void>;
  next: Promise<void> | null;
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
