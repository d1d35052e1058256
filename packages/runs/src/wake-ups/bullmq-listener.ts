import { hostname } from "node:os";
import { closeRedis, connectRedis } from "@mythic/shared/redis";
import { type Job, UnrecoverableError, Worker } from "bullmq";
import type { Listener, WakeUpHandler } from "../wake-ups.ts";
import { HandlersAtWork } from "./handlers-at-work.ts";
import type { QueueConnection } from "./queue-connection.ts";
import { JOB_OPTIONS, QUEUE_NAME, QUEUE_PREFIX, type StepJobData, stepIdOf } from "./step-jobs.ts";

/** A worker that vanished is noticed after the lock and the interval. Its step's lease, in the store, says the same. */
const LOCK_MS = 15_000;
const STALLED_EVERY_MS = 10_000;
/** How long closing waits for Redis to hear of the last jobs, after their handlers ended. */
const FAREWELL_MS = 2_000;

export interface ListenerParts {
  readonly redisUrl: string;
  readonly onError: (error: unknown) => void;
  readonly handler: WakeUpHandler;
  readonly concurrency: number;
}

/** Takes jobs from the queue, through any outage of Redis. */
export class BullMqListener implements Listener {
  readonly #parts: ListenerParts;
  readonly #atWork = new HandlersAtWork();
  readonly #connections: QueueConnection[] = [];
  #worker: Worker<StepJobData, string> | null = null;
  #closing: Promise<void> | null = null;

  constructor(parts: ListenerParts) {
    this.#parts = parts;
    const redis = this.#connect();
    // A worker that never saw Redis cannot be closed, so there is none before.
    redis.once("ready", () => this.#start(redis));
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  #connect(): QueueConnection {
    const { redisUrl, onError } = this.#parts;
    const redis = connectRedis(redisUrl, "queue-consumer", { onError });
    this.#connections.push(redis);
    // A server's and a Cluster's take different options, which are BullMQ's to choose.
    const connection: { duplicate: (...options: never[]) => QueueConnection } = redis;
    const duplicate = connection.duplicate.bind(redis);
    // BullMQ makes a copy for its blocking reads. It is kept, to be ended also when Redis does not answer.
    connection.duplicate = (...options) => {
      const copy = duplicate(...options);
      copy.on("error", onError);
      this.#connections.push(copy);
      return copy;
    };
    return redis;
  }

  #start(connection: QueueConnection): void {
    if (this.#closing !== null) return;
    const { onError, concurrency } = this.#parts;
    const worker = new Worker<StepJobData, string>(QUEUE_NAME, (job) => this.#process(job), {
      connection,
      prefix: QUEUE_PREFIX,
      name: `${hostname()}.${process.pid}`,
      concurrency,
      lockDuration: LOCK_MS,
      stalledInterval: STALLED_EVERY_MS,
      // Whether a step is worked on again is decided by the store.
      maxStalledCount: 0,
      skipVersionCheck: true,
    });
    worker.on("error", onError);
    worker.on("lockRenewalFailed", (jobs) =>
      onError(new Error(`Locks of the queue were lost: ${jobs.join(", ")}`)),
    );
    this.#worker = worker;
  }

  async #process(job: Job<StepJobData, string>): Promise<string> {
    const stepId = stepIdOf(job.data);
    if (stepId === null) throw new UnrecoverableError("The job names no step.");
    const { state, error, log = [] } = await this.#atWork.run(() => this.#parts.handler(stepId));
    await this.#writeLog(job, log);
    if (state === "failed") throw new UnrecoverableError(error ?? "The step failed.");
    return state;
  }

  async #writeLog(job: Job<StepJobData, string>, lines: readonly string[]): Promise<void> {
    try {
      await Promise.all(lines.slice(-JOB_OPTIONS.keepLogs).map((line) => job.log(line)));
    } catch (error) {
      this.#parts.onError(error);
    }
  }

  async #close(): Promise<void> {
    const { onError } = this.#parts;
    const closed = this.#worker?.close().catch(onError) ?? Promise.resolve();
    await this.#atWork.ended();
    await settledWithin(closed, FAREWELL_MS);
    // Whatever still waits for a Redis that is gone is told so now.
    await Promise.all(this.#connections.map(closeRedis));
    await settledWithin(closed, FAREWELL_MS);
  }
}

async function settledWithin(work: Promise<void>, milliseconds: number): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, milliseconds);
  await Promise.race([work, late]);
  clearTimeout(timer);
}
