import type { StepKind } from "./step.ts";

/** What a wake-up says of a step. The id is all that matters; the rest is for those who watch the queue. */
export interface WakeUp {
  readonly stepId: string;
  /** Which dispatch of the step this is: it makes the job's id new each time. */
  readonly dispatch: number;
  readonly kind: StepKind;
  readonly recipe: string | null;
  readonly bookId: string;
  readonly runId: string | null;
  /** Lower first; 1 to 2,097,151. */
  readonly priority: number;
}

/** What became of a step that was woken, for those who watch the queue. */
export interface WakeUpOutcome {
  /** `failed` shows as a failed job with `error`; nothing is retried because of it. */
  readonly state: "done" | "failed" | "postponed" | "skipped";
  readonly error?: string;
  /** Lines for the job's log. */
  readonly log?: readonly string[];
}

/** Works on one step. Never rejects. */
export type WakeUpHandler = (stepId: string) => Promise<WakeUpOutcome>;

export interface Listener {
  /** Takes no more, resolves when the handlers at work have ended. */
  close(): Promise<void>;
}

/**
 * How a step that is due finds a worker. Wake-ups may be lost, doubled or late: the store is the truth and the dispatcher
 * sends them again. Two implementations pass one contract suite: BullMQ on Redis, and this process alone.
 */
export interface WakeUps extends AsyncDisposable {
  readonly kind: "bullmq" | "local";
  /** How many wake-ups are wanted now. A process on its own takes only what it can work on, so that others find the rest. */
  capacity(): number;
  /** Rejects within a second when the queue cannot be reached. At most 500 at once. */
  wake(wakeUps: readonly WakeUp[]): Promise<void>;
  listen(handler: WakeUpHandler, concurrency: number): Listener;
  /** Called whenever a slot became free, so that the dispatcher need not wait for its next turn. */
  onCapacity(notify: () => void): void;
  /** True once after the queue lost what was in it. False when it cannot be reached. */
  wasWiped(): Promise<boolean>;
}
