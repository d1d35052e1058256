import { newId } from "./ids.ts";
import { NO_USAGE, type Run, type RunOptions } from "./run.ts";
import type { Submission } from "./submit-book.ts";

export interface RunRequest {
  /** A new one unless told. */
  readonly id?: string;
  readonly bookId: string;
  readonly recipes: readonly string[];
  readonly options: RunOptions;
  /** Null for the offline methods. */
  readonly model: string | null;
}

/** A run as it begins. */
export function queuedRun(user: string, { id = newId("run"), ...request }: RunRequest): Run {
  return {
    ...request,
    id,
    user,
    status: "queued",
    stage: "parsing",
    counts: { total: 0, completed: 0, failed: 0 },
    usage: NO_USAGE,
    failures: [],
    error: null,
    queuedAt: new Date(),
    runningAt: null,
    cancellingAt: null,
    succeededAt: null,
    partialAt: null,
    failedAt: null,
    cancelledAt: null,
    revision: 1,
  };
}

/** Writes a run and starts it: at once when its book is ready, else as soon as it is. */
export async function submitRun(
  { store, advancer }: Submission,
  user: string,
  request: RunRequest,
): Promise<Run> {
  const run = queuedRun(user, request);
  await store.runs.create(user, run);
  await advancer.advanceRun(user, run.id);
  return (await store.runs.get(user, run.id)) ?? run;
}
