import { setTimeout as pause } from "node:timers/promises";
import type { FlightStore, GiveBack, SealedEntry } from "./flight-store.ts";
import type { FlightOutcome } from "./flights.ts";

/** A fast stream costs one round trip for so many milliseconds. What comes after a longer silence is written at once. */
const BATCH_MS = 5;
/** A renewal or an entry that Redis did not take is sent again after this. */
const AGAIN_MS = 100;
/** What a flight may keep in Redis, ten times a long answer. Of longer ones followers get the rest with the end. */
const MOST_BYTES = 8 * 1024 * 1024;

export interface LeaseOptions {
  readonly store: FlightStore;
  readonly keyId: string;
  readonly token: string;
  /** When the question was sent that the lease is the answer to, by the clock of `performance`. */
  readonly askedAt: number;
  /** Somebody else leads, or may begin to. */
  readonly lost: () => void;
  /** Redis was not to be reached for the length of a lease, so this process is on its own. */
  readonly cutOff: () => void;
  /** Nobody waits in another process. */
  readonly unheard: () => void;
}

interface Batch {
  readonly id: number;
  readonly entry: SealedEntry;
}

/** The lease of a lead: keeps it, and writes what the leader says under its protection. Silent from the moment that it is lost. */
export class Lease {
  readonly token: string;
  readonly #options: LeaseOptions;
  readonly #renewal: NodeJS.Timeout;
  #state: "held" | "lost" | "over" = "held";
  /** By the clock of `performance`, and never later than Redis thinks. */
  #heldUntil: number;
  #chunks: unknown[] = [];
  #outcome: FlightOutcome | null = null;
  #lastId = 0;
  #bytes = 0;
  #writtenAt = Number.NEGATIVE_INFINITY;
  #writing: Promise<void> | null = null;
  readonly #told = Promise.withResolvers<void>();

  constructor(options: LeaseOptions) {
    this.#options = options;
    this.token = options.token;
    this.#heldUntil = options.askedAt + options.store.leaseMs;
    this.#renewal = setInterval(() => void this.#renew(), options.store.leaseMs / 3).unref();
  }

  get until(): Date {
    return new Date(Date.now() + Math.max(0, this.#heldUntil - performance.now()));
  }

  /** Resolves when Redis was told of the end, or did not take it at the first attempt, or will never be told. */
  get told(): Promise<void> {
    return this.#told.promise;
  }

  append(chunk: unknown): void {
    if (this.#state !== "held" || this.#bytes > MOST_BYTES) return;
    this.#chunks.push(chunk);
    this.#writing ??= this.#writeAll();
  }

  /** Resolves when others can read it, or never will. */
  async end(outcome: FlightOutcome): Promise<void> {
    this.#outcome = outcome;
    this.#writing ??= this.#writeAll();
    await this.#writing;
    this.#stop("over");
  }

  /** See `Leading`. */
  async holds(): Promise<boolean> {
    if (this.#state === "held") await this.#renew();
    return this.#state !== "lost";
  }

  /** Gives the lease back without an end; answers whether nobody waits for it any more, or it is not ours. Never rejects. */
  async giveBack(when: GiveBack): Promise<boolean> {
    if (this.#state !== "held") return true;
    const { store, keyId } = this.#options;
    // Nobody can be served by a process that does not reach Redis.
    const waiting = await store.giveBack(keyId, this.token, when).catch(() => 0);
    const isGiven = waiting === null || waiting === 0;
    if (isGiven) this.#stop("lost");
    return isGiven;
  }

  async #renew(): Promise<void> {
    const { store, keyId } = this.#options;
    await this.#send(() => store.renew(keyId, this.token));
  }

  async #writeAll(): Promise<void> {
    let batch: Batch | null = null;
    while (this.#state === "held") {
      const wait = this.#writtenAt + BATCH_MS - performance.now();
      if (wait > 0) await pause(wait);
      batch ??= this.#nextBatch();
      if (batch === null) break;
      if (await this.#write(batch)) batch = null;
      else await pause(AGAIN_MS);
    }
    this.#writing = null;
  }

  #nextBatch(): Batch | null {
    const chunks = this.#chunks;
    const outcome = this.#outcome;
    if (chunks.length === 0 && outcome === null) return null;
    this.#chunks = [];
    this.#outcome = null;
    this.#lastId += 1;
    const { store, keyId } = this.#options;
    const position = { token: this.token, id: this.#lastId };
    const entry = store.seal(keyId, position, outcome === null ? { chunks } : { chunks, outcome });
    this.#bytes += entry.text.length;
    return { id: this.#lastId, entry };
  }

  /** False when it has to be tried again. */
  async #write({ id, entry }: Batch): Promise<boolean> {
    const { store, keyId } = this.#options;
    this.#writtenAt = performance.now();
    const isWritten = await this.#send(() => store.append(keyId, { token: this.token, id }, entry));
    // The end may be next in line behind an entry that Redis does not take.
    if (entry.isLast || (!isWritten && this.#outcome !== null)) this.#told.resolve();
    if (isWritten && entry.isLast) this.#stop("over");
    return isWritten;
  }

  /** Sends what renews the lease on its way. False when Redis did not answer. */
  async #send(write: () => Promise<number | null>): Promise<boolean> {
    const sentAt = performance.now();
    let waiting: number | null;
    try {
      waiting = await write();
    } catch {
      if (this.#state === "held" && performance.now() > this.#heldUntil) {
        this.#stop("over");
        this.#options.cutOff();
      }
      return false;
    }
    if (this.#state !== "held") return true;
    if (waiting === null) {
      this.#stop("lost");
      this.#options.lost();
    } else {
      this.#heldUntil = Math.max(this.#heldUntil, sentAt + this.#options.store.leaseMs);
      if (waiting === 0) this.#options.unheard();
    }
    return true;
  }

  #stop(state: "lost" | "over"): void {
    if (this.#state === "held") this.#state = state;
    this.#told.resolve();
    clearInterval(this.#renewal);
  }
}
