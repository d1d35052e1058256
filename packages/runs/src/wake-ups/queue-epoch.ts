import { randomUUID } from "node:crypto";
import type { QueueConnection } from "./queue-connection.ts";
import { QUEUE_PREFIX } from "./step-jobs.ts";

/** Holds a random value as long as the queue's Redis keeps what it is given: of a Cluster the server that has the queue. */
const EPOCH_KEY = `${QUEUE_PREFIX}:epoch`;

/** Notices that Redis lost what was in it: then the key is gone, or another process has set it anew. */
export class QueueEpoch {
  readonly #redis: QueueConnection;
  #known: string | null = null;

  constructor(redis: QueueConnection) {
    this.#redis = redis;
  }

  /** True once after a loss. Whoever comes first after it sets a new value, and the others see that it is another. */
  async hasChanged(): Promise<boolean> {
    const fresh = randomUUID();
    const before = await this.#redis.set(EPOCH_KEY, fresh, "NX", "GET");
    const current = before ?? fresh;
    // A process that has just started and finds a value cannot know of an earlier loss; whoever set the value did.
    const changed = this.#known === null ? before === null : current !== this.#known;
    this.#known = current;
    return changed;
  }
}
