import { isTerminal, type Run } from "./run.ts";
import type { Submission } from "./submit-book.ts";

/**
 * Asks a run to stop: steps nobody works on are cancelled now, those at work when their worker sees it. Asking again, or
 * asking a run that has ended, changes nothing. Null when there is no such run.
 */
export async function cancelRun(
  { store, advancer }: Submission,
  user: string,
  id: string,
): Promise<Run | null> {
  for (;;) {
    const run = await store.runs.get(user, id);
    if (!run || isTerminal(run.status)) return run;
    const asked = { status: "cancelling", cancellingAt: new Date() } as const;
    if (run.status === "cancelling" || (await store.runs.update(user, id, run.revision, asked))) break;
  }
  await advancer.advanceRun(user, id);
  return store.runs.get(user, id);
}
