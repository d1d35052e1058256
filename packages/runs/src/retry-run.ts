import { isTerminal, type Run } from "./run.ts";
import type { NewStep, Step } from "./step.ts";
import type { RunChange } from "./store.ts";
import type { Submission } from "./submit-book.ts";

const REOPENED: RunChange = {
  status: "queued",
  stage: "chapters",
  failures: [],
  error: null,
  succeededAt: null,
  partialAt: null,
  failedAt: null,
  cancelledAt: null,
  cancellingAt: null,
};

/**
 * Takes an ended run up again: what failed, died or was cancelled is done anew, and so is every merge above it; all other
 * results are kept. A run that succeeded or is still live stays as it is. Null when there is no such run.
 */
export async function retryRun(
  { store, advancer }: Submission,
  user: string,
  id: string,
): Promise<Run | null> {
  const run = await store.runs.get(user, id);
  if (!run || !isTerminal(run.status) || run.status === "succeeded") return run;
  // Of two that ask at once one goes on: the other would take back what was made since.
  const taken = await store.runs.update(user, id, run.revision, { stage: run.stage });
  if (!taken) return store.runs.get(user, id);
  // Whoever saw the run live may have inserted steps as it ended. They would be worked on before their inputs are.
  await store.steps.cancelPending(user, id);
  // Taken back before the run is opened: while it is closed nothing is made of what waits.
  await store.steps.reset(user, stepsToRepeat(await store.steps.ofRun(user, id)));
  await store.runs.update(user, id, taken.revision, REOPENED);
  await advancer.advanceRun(user, id);
  return store.runs.get(user, id);
}

/** Ids of the steps that came to nothing, and of all that were made from them or without them. */
export function stepsToRepeat(steps: readonly (NewStep & Pick<Step, "state">)[]): readonly string[] {
  const repeat = new Set<string>();
  const known = new Set(steps.map((step) => step.id));
  const inOrder = [...steps].sort((a, b) => a.inputs.length - b.inputs.length || (a.id < b.id ? -1 : 1));
  for (let size = -1; size !== repeat.size; ) {
    size = repeat.size;
    for (const step of inOrder) {
      const lacking = step.inputs.some((input) => repeat.has(input) || !known.has(input));
      if (step.state !== "done" || lacking) repeat.add(step.id);
    }
  }
  return [...repeat];
}
