import type { BulkJobOptions } from "bullmq";
import type { WakeUp } from "../wake-ups.ts";

/** The queue, as Bull Board shows it. */
export const QUEUE_NAME = "mythic-steps";
/** All keys of the queue begin with this. In braces, so that a Cluster has them in one slot, as the scripts of BullMQ need. */
export const QUEUE_PREFIX = "{mythic}";

/** What is in a job: ids and nothing else, as the queue may be lost or read by others. */
export interface StepJobData {
  readonly stepId: string;
  readonly bookId: string;
  readonly runId: string | null;
}

export interface StepJob {
  readonly name: string;
  readonly data: StepJobData;
  readonly opts: BulkJobOptions;
}

/** BullMQ sorts by no more than this. */
const MOST_PRIORITY = 2_097_151;

/** What every job has: it is tried once, as retries live in the store, and it does not stay for ever. */
export const JOB_OPTIONS = {
  attempts: 1,
  removeOnComplete: { age: 3_600, count: 5_000 },
  removeOnFail: { age: 604_800, count: 1_000 },
  keepLogs: 50,
  stackTraceLimit: 0,
  sizeLimit: 16 * 1_024,
} as const;

/** The job of a wake-up. Its id is new with each dispatch, since BullMQ ignores an id that it has seen. */
export function stepJob(wakeUp: WakeUp): StepJob {
  const { stepId, dispatch, kind, recipe, bookId, runId, priority } = wakeUp;
  return {
    name: [...(recipe === null ? [] : [recipe]), kind, bookId].join(" "),
    data: { stepId, bookId, runId },
    opts: {
      jobId: `${stepId}-d${dispatch}`,
      priority: Math.min(MOST_PRIORITY, Math.max(1, Math.round(priority))),
    },
  };
}

/** Reads the step from what a job holds, or null when no program of ours can have written it. */
export function stepIdOf(data: unknown): string | null {
  if (typeof data !== "object" || data === null || !("stepId" in data)) return null;
  return typeof data.stepId === "string" ? data.stepId : null;
}
