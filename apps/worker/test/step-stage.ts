import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type NewStep,
  newId,
  queuedRun,
  type Run,
  STEP_POLICY,
  type Step,
  type StepPolicy,
  type Store,
} from "@mythic/runs";
import { openStore } from "@mythic/runs/store";
import { pino } from "pino";
import { type ExecuteStep, StepWorker } from "../src/work-step.ts";

/** A store with one live run of a ready book, and workers on it. */
export interface Stage extends AsyncDisposable {
  readonly store: Store;
  readonly run: Run;
  /** A pending step of the run. */
  addStep(name: string): Promise<NewStep>;
  worker(execute: ExecuteStep, policy?: Partial<StepPolicy>): StepWorker;
  step(id: string): Promise<Step>;
  /** Calls `before` ahead of each call of a function that works on steps; its error is the call's. */
  interfere(name: keyof Store["steps"], before: () => Promise<void>): void;
  /** Moves the store's clock, by which leases and retries are due. */
  advanceClock(ms: number): void;
}

export const USER = "ada";

export async function setStage(): Promise<Stage> {
  const stack = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), "mythic-worker-"));
  stack.defer(() => rm(directory, { recursive: true }));
  let ahead = 0;
  const opened = stack.use(await openStore({ dataDir: directory, now: () => Date.now() + ahead }));
  const interferences = new Map<PropertyKey, () => Promise<void>>();
  const steps = new Proxy(opened.steps, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== "function") return member;
      return async (...parameters: unknown[]) => {
        await interferences.get(name)?.();
        return Reflect.apply(member, target, parameters) as unknown;
      };
    },
  });
  const store: Store = new Proxy(opened, {
    get: (target, name) => (name === "steps" ? steps : Reflect.get(target, name)),
  });
  const run = runOf(newId("book"));
  await store.runs.create(USER, run);
  const workers: StepWorker[] = [];
  stack.defer(async () => {
    await Promise.all(workers.map((worker) => worker.close()));
  });
  return {
    store,
    run,
    addStep: async (name) => {
      const step: NewStep = {
        id: `${run.id}.summary.${name}`,
        user: USER,
        bookId: run.bookId,
        runId: run.id,
        kind: "chapter",
        recipe: "summary",
        unit: "0",
        title: name,
        inputs: [],
      };
      await store.steps.insert(USER, [step]);
      return step;
    },
    worker: (execute, policy = {}) => {
      const worker = new StepWorker({
        store,
        execute,
        onRest: async () => undefined,
        owner: `worker-${workers.length}`,
        policy: { ...STEP_POLICY, ...policy },
        logger: pino({ level: "silent" }),
      });
      workers.push(worker);
      return worker;
    },
    step: async (id) => {
      const step = await store.steps.get(USER, id);
      if (!step) throw new Error(`no step ${id}`);
      return step;
    },
    interfere: (name, before) => interferences.set(name, before),
    advanceClock: (ms) => {
      ahead += ms;
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

function runOf(bookId: string): Run {
  const options = { maxCost: null, fresh: false };
  const run = queuedRun(USER, { bookId, recipes: ["summary"], options, model: null });
  const counts = { total: 1, completed: 0, failed: 0 };
  return { ...run, status: "running", stage: "chapters", counts, runningAt: new Date() };
}
