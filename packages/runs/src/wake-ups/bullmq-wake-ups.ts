import { setTimeout as delay } from "node:timers/promises";
import {
  checkRedis,
  closeRedis,
  connectRedis,
  reportErrors,
  toRedisError,
  waitForRedis,
} from "@mythic/shared/redis";
import { Queue } from "bullmq";
import type { Listener, WakeUp, WakeUpHandler, WakeUps } from "../wake-ups.ts";
import { BullMqListener } from "./bullmq-listener.ts";
import type { QueueConnection } from "./queue-connection.ts";
import { QueueEpoch } from "./queue-epoch.ts";
import { JOB_OPTIONS, QUEUE_NAME, QUEUE_PREFIX, type StepJobData, stepJob } from "./step-jobs.ts";

/** BullMQ holds Redis for about 14 ms for so many, and everyone else waits meanwhile. */
const BATCH = 500;
/** How long opening waits for Redis before it goes on without. */
const OPENING_MS = 1_000;
/** After a failure the queue counts as unreachable until Redis answers again. It is asked this often. */
const PROBE_MS = 500;

export interface BullMqOptions {
  readonly redisUrl: string;
  /** Told of what went wrong, each message at most once in ten seconds; all of it mends itself. */
  readonly onError?: (error: unknown) => void;
}

export interface BullMqWakeUps extends WakeUps {
  /** For Bull Board. */
  readonly queue: Queue<StepJobData>;
}

/**
 * Opens the queue on Redis. Resolves within about a second, also when Redis is down: then `wake` rejects and `capacity` is 0
 * until it is back.
 */
export async function openBullMqWakeUps(options: BullMqOptions): Promise<BullMqWakeUps> {
  const { redisUrl } = options;
  const onError = reportErrors(options.onError ?? (() => undefined));
  const redis = connectRedis(redisUrl, "queue-producer", { onError });
  if (await waitForRedis(redis, OPENING_MS)) await reportUnfitRedis(redis, onError);
  return new QueueOfSteps({ redisUrl, redis, onError });
}

async function reportUnfitRedis(redis: QueueConnection, onError: (error: unknown) => void): Promise<void> {
  const { reachable, lastError, policy } = await checkRedis(redis);
  if (lastError !== null) onError(new Error(lastError));
  if (reachable && policy !== null && policy !== "noeviction") {
    onError(
      new Error(`The Redis of the queue must not evict: its maxmemory-policy is ${policy}, not noeviction.`),
    );
  }
}

interface QueueParts {
  readonly redisUrl: string;
  readonly redis: QueueConnection;
  readonly onError: (error: unknown) => void;
}

class QueueOfSteps implements BullMqWakeUps {
  readonly kind = "bullmq";
  readonly queue: Queue<StepJobData>;
  readonly #parts: QueueParts;
  readonly #epoch: QueueEpoch;
  readonly #listeners = new Set<BullMqListener>();
  readonly #notify: (() => void)[] = [];
  readonly #closing = new AbortController();
  /** Redis did not answer lately. A frozen one keeps its connections, so their state says nothing. */
  #doubted = false;

  constructor(parts: QueueParts) {
    this.#parts = parts;
    const { redis, onError } = parts;
    this.#epoch = new QueueEpoch(redis);
    this.queue = new Queue<StepJobData>(QUEUE_NAME, {
      connection: redis,
      prefix: QUEUE_PREFIX,
      defaultJobOptions: JOB_OPTIONS,
      // Otherwise the first command waits until Redis is there, however long that is.
      skipWaitingForReady: true,
      // Checking the version is a command; if that one fails the queue would be lost for good.
      skipVersionCheck: true,
    });
    this.queue.on("error", onError);
    redis.on("ready", () => this.#tellCapacity());
  }

  capacity(): number {
    return this.#closing.signal.aborted || this.#doubted || this.#parts.redis.status !== "ready" ? 0 : BATCH;
  }

  async wake(wakeUps: readonly WakeUp[]): Promise<void> {
    if (this.#closing.signal.aborted)
      throw new Error("Nobody can be woken any more: the wake-ups are closed.");
    try {
      for (let from = 0; from < wakeUps.length; from += BATCH) {
        await this.queue.addBulk(wakeUps.slice(from, from + BATCH).map(stepJob));
      }
    } catch (error) {
      this.#doubt();
      throw toRedisError(error);
    }
  }

  listen(handler: WakeUpHandler, concurrency: number): Listener {
    if (this.#closing.signal.aborted) throw new Error("Nobody can listen any more: the wake-ups are closed.");
    const { redisUrl, onError } = this.#parts;
    const listener = new BullMqListener({ redisUrl, onError, handler, concurrency });
    this.#listeners.add(listener);
    return listener;
  }

  onCapacity(notify: () => void): void {
    this.#notify.push(notify);
  }

  async wasWiped(): Promise<boolean> {
    if (this.#closing.signal.aborted || this.#parts.redis.status !== "ready") return false;
    try {
      return await this.#epoch.hasChanged();
    } catch (error) {
      this.#doubt();
      this.#parts.onError(error);
      return false;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await Promise.all([...this.#listeners].map((listener) => listener.close()));
    await this.queue.close();
    await closeRedis(this.#parts.redis);
  }

  #tellCapacity(): void {
    if (this.capacity() === 0) return;
    for (const notify of this.#notify) notify();
  }

  #doubt(): void {
    if (this.#doubted || this.#closing.signal.aborted) return;
    this.#doubted = true;
    void this.#askUntilAnswered();
  }

  async #askUntilAnswered(): Promise<void> {
    const { signal } = this.#closing;
    while (this.#doubted && !signal.aborted) {
      try {
        await delay(PROBE_MS, undefined, { signal, ref: false });
        await this.#parts.redis.ping();
        this.#doubted = false;
      } catch {
        // Closed, or asked again in a moment.
      }
    }
    this.#tellCapacity();
  }
}
