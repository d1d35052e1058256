import type { Book } from "./book.ts";
import {
  isTerminal,
  type Run,
  type RunFailure,
  type RunStage,
  type RunStatus,
  type RunUsage,
} from "./run.ts";
import { hasEnded, type NewStep, type Step, type StepState } from "./step.ts";
import type { RunChange } from "./store.ts";

/** Everything that decides what a run does next. */
export interface RunSituation {
  readonly run: Run;
  /** Null once the book was deleted. */
  readonly book: Book | null;
  /** What planRun gives for it; empty until the book is ready. */
  readonly plan: readonly NewStep[];
  readonly steps: readonly Step[];
  /** Summed over the run's ledger rows. */
  readonly spent: RunUsage;
}

export interface RunDecision {
  /** Steps whose inputs have ended and that are not there yet, or wait. */
  readonly insert: readonly NewStep[];
  /** Pending steps are to be cancelled before anything else. */
  readonly cancelPending: boolean;
  /** What the run becomes; null when it stays as it is. */
  readonly change: RunChange | null;
}

/** `lost`: a merge of which no input came to anything; it never becomes a step. `missing`: not inserted yet, or waiting. */
type PlannedState = Exclude<StepState, "waiting"> | "lost" | "missing";

/**
 * Decides what a run does next, from what is stored alone, so that it can be asked again after a kill at any point: which
 * steps to insert (fan-out, and fan-in once all inputs have ended), and what to write on the run.
 */
export function decideRun(situation: RunSituation): RunDecision {
  const { run, book, steps } = situation;
  if (isTerminal(run.status)) return { insert: [], cancelPending: false, change: null };
  if (run.status === "cancelling" || book === null) return decideCancelling(situation);
  if (book.status === "refused") {
    const error = book.error ?? { code: "book_refused", detail: "The book cannot be used." };
    return { insert: [], cancelPending: false, change: ended(situation, "failed", { error }) };
  }
  if (book.status !== "ready") return { insert: [], cancelPending: false, change: null };

  const states = plannedStates(situation);
  const insert = situation.plan.filter(
    (step) => states.get(step.id) === "missing" && inputsEnded(step, states),
  );
  const finish = steps.find((step) => step.kind === "finish");
  const change =
    finish && hasEnded(finish.state)
      ? ended(situation, outcomeOf(situation, states), { failures: failuresOf(steps) })
      : progress(situation, states);
  return { insert, cancelPending: false, change: different(run, change) };
}

function decideCancelling(situation: RunSituation): RunDecision {
  const { steps } = situation;
  const cancelPending = steps.some((step) => step.state === "pending" || step.state === "waiting");
  const atWork = steps.some((step) => step.state === "running");
  if (cancelPending) return { insert: [], cancelPending, change: null };
  const change: RunChange = atWork
    ? situation.run.status === "cancelling"
      ? {}
      : { status: "cancelling", cancellingAt: new Date() }
    : ended(situation, "cancelled", {});
  return { insert: [], cancelPending, change: different(situation.run, change) };
}

function plannedStates(situation: RunSituation): Map<string, PlannedState> {
  const stored = new Map(
    situation.steps.map((step) => [step.id, step.state === "waiting" ? undefined : step.state]),
  );
  const states = new Map<string, PlannedState>();
  for (const step of situation.plan) {
    states.set(step.id, stored.get(step.id) ?? (isLost(step, states) ? "lost" : "missing"));
  }
  return states;
}

function isLost(step: NewStep, states: ReadonlyMap<string, PlannedState>): boolean {
  return (
    step.kind === "merge" && inputsEnded(step, states) && !step.inputs.some((id) => states.get(id) === "done")
  );
}

function inputsEnded(step: NewStep, states: ReadonlyMap<string, PlannedState>): boolean {
  return step.inputs.every((id) => isOver(states.get(id)));
}

function isOver(state: PlannedState | undefined): boolean {
  return state === "lost" || (state !== undefined && state !== "missing" && hasEnded(state));
}

function counts(situation: RunSituation, states: ReadonlyMap<string, PlannedState>): Run["counts"] {
  const units = situation.plan.filter((step) => step.kind !== "finish").map((step) => states.get(step.id));
  return {
    total: units.length,
    completed: units.filter((state) => state === "done").length,
    failed: units.filter((state) => state !== "done" && isOver(state)).length,
  };
}

function usage(situation: RunSituation): RunUsage {
  const reusedAnswers = situation.steps.reduce((sum, step) => sum + step.reusedAnswers, 0);
  return { ...situation.spent, reusedAnswers };
}

function progress(situation: RunSituation, states: ReadonlyMap<string, PlannedState>): RunChange {
  const { run, steps } = situation;
  const started = run.status === "running" || steps.some((step) => step.fence > 0);
  return {
    counts: counts(situation, states),
    usage: usage(situation),
    stage: stageOf(situation, states),
    ...(started ? { status: "running", runningAt: run.runningAt ?? new Date() } : {}),
  };
}

function stageOf(situation: RunSituation, states: ReadonlyMap<string, PlannedState>): RunStage {
  const open = situation.plan.filter((step) => !isOver(states.get(step.id)));
  if (open.some((step) => step.kind === "chapter")) return "chapters";
  return open.some((step) => step.kind === "merge") ? "merging" : "finishing";
}

function outcomeOf(situation: RunSituation, states: ReadonlyMap<string, PlannedState>): RunStatus {
  if (counts(situation, states).completed === 0) return "failed";
  return situation.plan.every((step) => states.get(step.id) === "done") ? "succeeded" : "partial";
}

function failuresOf(steps: readonly Step[]): readonly RunFailure[] {
  return steps
    .filter((step) => step.state === "failed" || step.state === "dead" || step.state === "cancelled")
    .map((step) => ({
      step: step.id,
      unit: step.title,
      ...(step.error ?? { code: "step_crashed", detail: "The work on it was cut short too often." }),
    }));
}

const ENDED_AT = {
  succeeded: "succeededAt",
  partial: "partialAt",
  failed: "failedAt",
  cancelled: "cancelledAt",
} as const;

function ended(situation: RunSituation, status: RunStatus, more: RunChange): RunChange {
  const { run } = situation;
  const states = plannedStates(situation);
  const failures = more.failures ?? [];
  const error = status === "failed" ? (more.error ?? failedEntirely(failures)) : null;
  const at = status in ENDED_AT ? { [ENDED_AT[status as keyof typeof ENDED_AT]]: new Date() } : {};
  return {
    ...(situation.plan.length > 0 ? { counts: counts(situation, states) } : {}),
    usage: usage(situation),
    runningAt: run.runningAt ?? (situation.steps.some((step) => step.fence > 0) ? new Date() : null),
    ...more,
    stage: "done",
    status,
    error,
    ...at,
  };
}

function failedEntirely(failures: readonly RunFailure[]): Run["error"] {
  const first = failures[0];
  return first
    ? {
        code: first.code,
        detail: `Nothing of the book could be processed. The first reason: ${first.detail}`,
      }
    : { code: "no_text", detail: "The book has no text to work on." };
}

/** Null when the change would change nothing. */
function different(run: Run, change: RunChange): RunChange | null {
  const entries = Object.entries(change) as [keyof RunChange, unknown][];
  return entries.some(([key, value]) => JSON.stringify(run[key]) !== JSON.stringify(value)) ? change : null;
}
