import { setTimeout as delay } from "node:timers/promises";
import { Advancer, type PendingStep } from "./advancer.ts";
import { cancelRun } from "./cancel-run.ts";
import type { Run } from "./run.ts";
import { type NewStep, STEP_POLICY, type Step, type StepPolicy } from "./step.ts";
import { type Store, StoreUnavailableError } from "./store.ts";
import type { WakeUp, WakeUps } from "./wake-ups.ts";

/** Wake-ups in one message to the queue: BullMQ holds Redis for about 14 ms for so many. */
const BATCH = 500;
/** A busy dispatcher looks this often, an idle one slows down to the second figure. */
const BUSY_MS = 250;
const IDLE_MS = 1_000;
/** How often live runs are recounted, and how often the store is tidied. */
const REPAIR_MS = 5_000;
const TIDY_MS = 60_000;
/** A process on its own claims what it takes within moments, so what it took and did not claim is free again soon. */
const LOCAL_REDISPATCH_MS = 2_000;
const ORPHANS_AFTER_MS = 24 * 3_600_000;
const REPLIES_FOR_MS = 24 * 3_600_000;
/** Longer than any call may take. */
const CALL_LOST_AFTER_MS = 30 * 60_000;

export interface DispatcherOptions {
  readonly store: Store;
  readonly wakeUps: WakeUps;
  /** Works here on what the queue cannot be told of, while it cannot be reached. */
  readonly fallback?: WakeUps;
  readonly policy?: StepPolicy;
  readonly onRunChanged?: (run: Run) => void;
  /** Told of what went wrong and will be tried again. */
  readonly onError: (error: unknown, doing: string) => void;
  /** Told of steps taken back from workers that were lost. */
  readonly onRecovered?: (steps: readonly Step[]) => void;
}

/**
 * Sees to it that every step that is due finds a worker, and that what was left half done goes on. Runs in any process;
 * two at once do no harm, since every claim is decided by the store.
 */
export class Dispatcher {
  readonly advancer: Advancer;
  readonly #options: DispatcherOptions;
  readonly #policy: StepPolicy;
  #repairAt = 0;
  #tidyAt = 0;
  #dispatching: Promise<number> | null = null;
  #again = false;
  /** Steps at work that a user had at most when the slots of this process were filled last. */
  #share = 1;
  #repairedUpTo: string | null = null;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#policy = options.policy ?? STEP_POLICY;
    const { store, onRunChanged } = options;
    this.advancer = new Advancer({
      store,
      onPending: (steps) => this.#wakePending(steps),
      ...(onRunChanged ? { onRunChanged } : {}),
    });
  }

  /** Looks for work until the signal comes. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    this.#options.wakeUps.onCapacity(() => this.poke());
    this.#options.fallback?.onCapacity(() => this.poke());
    let waitMs = BUSY_MS;
    while (!signal.aborted) {
      const found = await this.turn();
      waitMs = found > 0 ? BUSY_MS : Math.min(IDLE_MS, waitMs * 1.5);
      await delay(waitMs, undefined, { signal }).catch(() => undefined);
    }
    await this.#dispatching;
  }

  /** One turn of everything that is due. Answers how many steps were woken or taken back. Never rejects. */
  async turn(now: number = performance.now()): Promise<number> {
    let found = await this.#try("taking back lost steps", () => this.#takeBack());
    await this.#try("looking after the queue", () => this.#noticeWipe());
    if (now >= this.#repairAt) {
      this.#repairAt = now + REPAIR_MS;
      await this.#try("recounting runs", () => this.#repair());
    }
    if (now >= this.#tidyAt) {
      this.#tidyAt = now + TIDY_MS;
      await this.#try("tidying the store", () => this.#tidy());
    }
    found += await this.dispatch();
    return found;
  }

  /** Wakes someone for what is due, soon and once, however often it is called. */
  poke(): void {
    void this.dispatch();
  }

  /** Wakes someone for what is due. Calls that come meanwhile share one more round. Never rejects. */
  dispatch(): Promise<number> {
    if (this.#dispatching !== null) {
      this.#again = true;
      return this.#dispatching;
    }
    this.#dispatching = this.#dispatchAll();
    return this.#dispatching;
  }

  async #dispatchAll(): Promise<number> {
    let total = 0;
    for (this.#again = true; this.#isAskedAgain(); ) {
      total += await this.#try("dispatching", () => this.#dispatchOnce());
    }
    // In the same turn as the last look: whoever asks from now on starts a round of their own.
    this.#dispatching = null;
    return total;
  }

  #isAskedAgain(): boolean {
    const again = this.#again;
    this.#again = false;
    return again;
  }

  async #dispatchOnce(): Promise<number> {
    const { store, wakeUps, fallback } = this.#options;
    const { windowPerUser, redispatchMs } = this.#policy;
    const queued = wakeUps.kind === "local" ? 0 : Math.min(BATCH, wakeUps.capacity());
    if (queued > 0) {
      return this.#wake((await store.dispatch.due(queued, windowPerUser, redispatchMs)).map(wakeUpOf));
    }
    const free = (wakeUps.kind === "local" ? wakeUps : fallback)?.capacity() ?? 0;
    if (free <= 0) return 0;
    return this.#wake((await this.#dueHere(Math.min(BATCH, free))).map(wakeUpOf));
  }

  /**
   * Steps for the free slots of this process. There are fewer slots than fit in a user's window, so it is the users with the
   * fewest steps at work who come first; else whoever came first would have all slots until nothing is left to do.
   */
  async #dueHere(free: number): Promise<readonly Step[]> {
    const { windowPerUser, redispatchMs } = this.#policy;
    const again = this.#options.wakeUps.kind === "local" ? LOCAL_REDISPATCH_MS : redispatchMs;
    // Half of what filled the slots last time leaves room for whoever has come since.
    for (let share = Math.max(1, Math.floor(this.#share / 2)); ; share *= 2) {
      const steps = await this.#options.store.dispatch.due(free, Math.min(share, windowPerUser), again);
      if (steps.length < free && share < windowPerUser) continue;
      this.#share = steps.length > 0 ? share : 1;
      return steps;
    }
  }

  async #wakePending(steps: readonly PendingStep[]): Promise<void> {
    // Beyond the window of one user the store keeps them, and the next turn of the dispatcher sees to fairness.
    const { wakeUps } = this.#options;
    if (steps.length > Math.min(this.#policy.windowPerUser, wakeUps.capacity())) return this.poke();
    await this.#try("waking for new steps", () => this.#wake(steps.map(wakeUpOf)));
  }

  async #wake(wanted: readonly WakeUp[]): Promise<number> {
    const { store, wakeUps, fallback, onError } = this.#options;
    if (wanted.length === 0) return 0;
    // A frozen Redis would hold each attempt for a second.
    if (fallback && wakeUps.capacity() === 0) return this.#wakeHere(wanted, fallback);
    // Marked first: a step that is claimed and given back within the message's way must count as not dispatched. A process
    // on its own takes no more than it claims right away, so there is nothing to mark.
    if (wakeUps.kind !== "local") await store.dispatch.markDispatched(wanted.map((wakeUp) => wakeUp.stepId));
    try {
      await wakeUps.wake(wanted);
      return wanted.length;
    } catch (error) {
      onError(error, "waking workers");
      return this.#wakeHere(wanted, fallback);
    }
  }

  async #wakeHere(wanted: readonly WakeUp[], fallback: WakeUps | undefined): Promise<number> {
    const here = wanted.slice(0, fallback?.capacity() ?? 0);
    await fallback?.wake(here);
    // What the queue holds cannot be known now.
    await this.#options.store.dispatch.forgetDispatches();
    return here.length;
  }

  async #takeBack(): Promise<number> {
    const { store, onRecovered } = this.#options;
    const steps = await store.dispatch.expireLeases(this.#policy.maxCrashes);
    if (steps.length > 0) onRecovered?.(steps);
    const dead = steps.filter((step) => step.state === "dead");
    await this.#each(dead, "ending what crashed too often", (step) => this.advance(step));
    return steps.length;
  }

  /** Takes the run or the book of a step that has ended to what is stored now. */
  async advance(step: NewStep): Promise<void> {
    if (step.runId === null) await this.advancer.advanceBook(step.user, step.bookId);
    else await this.advancer.advanceRun(step.user, step.runId);
  }

  async #noticeWipe(): Promise<number> {
    const { store, wakeUps } = this.#options;
    if (!(await wakeUps.wasWiped())) return 0;
    await store.dispatch.forgetDispatches();
    return 1;
  }

  async #repair(): Promise<number> {
    const { store } = this.#options;
    const books = await store.dispatch.unparsedBooks(100);
    await this.#each(books, "recounting a book", (book) => this.advancer.advanceBook(book.user, book.id));
    const runs = await store.dispatch.liveRuns(100, this.#repairedUpTo);
    this.#repairedUpTo = runs.length === 100 ? (runs.at(-1)?.id ?? null) : null;
    await this.#each(runs, "recounting a run", (run) => this.advancer.advanceRun(run.user, run.id));
    return 0;
  }

  async #tidy(): Promise<number> {
    const { store } = this.#options;
    for (const book of await store.dispatch.deletedBooks(100)) {
      for (const run of await store.dispatch.liveRunsOfBook(book.id)) {
        await cancelRun({ store, advancer: this.advancer }, run.user, run.id);
      }
      await store.ledger.erase(book.user, { of: "book", bookId: book.id });
    }
    await store.dispatch.purgeDeleted(10);
    await store.dispatch.collectOrphans(ORPHANS_AFTER_MS);
    await store.dispatch.abandonCalls(CALL_LOST_AFTER_MS);
    await store.dispatch.expireReplies(REPLIES_FOR_MS);
    return 0;
  }

  /** One that cannot be mended must not keep the others from it; a store that is away keeps all of them. */
  async #each<Item>(
    items: readonly Item[],
    doing: string,
    work: (item: Item) => Promise<void>,
  ): Promise<void> {
    for (const item of items) {
      try {
        await work(item);
      } catch (error) {
        if (error instanceof StoreUnavailableError) throw error;
        this.#options.onError(error, doing);
      }
    }
  }

  async #try(doing: string, work: () => Promise<number>): Promise<number> {
    try {
      return await work();
    } catch (error) {
      this.#options.onError(error, doing);
      return 0;
    }
  }
}

function wakeUpOf({ id: stepId, dispatches, kind, recipe, bookId, runId }: PendingStep): WakeUp {
  return { stepId, dispatch: dispatches + 1, kind, recipe, bookId, runId, priority: 1 };
}
