import { setTimeout as pause } from "node:timers/promises";
import type { Entry } from "./entry.ts";
import type { FlightStore, Position, Reply } from "./flight-store.ts";
import type { FlightOutcome } from "./flights.ts";

/** Everything comes by push; in case a push is lost, or nobody is left to push, followers ask after this time, drawn between the two. */
const ASK_AGAIN_MS = [250, 500] as const;
/** Those who wait for the same lease to end do not ask all at once. */
const MOST_SPREAD_MS = 20;

export interface FollowingOptions {
  readonly store: FlightStore;
  readonly keyId: string;
  readonly chunk: (chunk: unknown) => void;
  /** Another lead is read from now on, so what there was of the one before is void. */
  readonly restarted: () => void;
  readonly ended: (outcome: FlightOutcome) => void;
}

/** Reads leads of other processes: what is in Redis already, then what is pushed. */
export class Following {
  readonly #options: FollowingOptions;
  #known: Position | null = null;
  #until: Date | null = null;
  /** An entry is missing, so no more chunks are passed on: a part must not follow what is not before it. */
  #hasHole = false;
  #hasEnded = false;
  #stopListening: (() => void) | null = null;
  #alarm = new AbortController();

  constructor(options: FollowingOptions) {
    this.#options = options;
  }

  /** The lead that is read, or was when its leader was lost. Null: none yet. */
  get known(): Position | null {
    return this.#known;
  }

  /** Until when at most the lease that is waited for holds. */
  get until(): Date | null {
    return this.#until;
  }

  /** Waits for what becomes of this lead, without reading it. */
  waitFor(token: string): void {
    this.#known = { token, id: 0 };
    this.#hasHole = true;
  }

  /** Takes in what Redis replied, and waits until there is a reason to ask it again. */
  async follow(reply: NonNullable<Reply>): Promise<void> {
    this.#until = reply.until;
    if (reply.token !== this.#known?.token) return await this.#begin(reply);
    for (const [id, entry] of reply.entries) this.#take(id, entry);
    if (this.#hasEnded || reply.hasMore) return;
    // The end was lost together with its stream: it is as if there had been none.
    if (reply.hasEnded) this.#known = null;
    else await this.#wait(reply.until);
  }

  /** Has `follow` wait no longer. */
  look(): void {
    this.#alarm.abort();
  }

  /** Forgets what was read, too. */
  stop(): void {
    this.#stopListening?.();
    this.#stopListening = null;
    this.#known = null;
  }

  async #begin({ token, hasEnded, until }: NonNullable<Reply>): Promise<void> {
    this.#known = { token, id: 0 };
    this.#hasHole = false;
    this.#options.restarted();
    if (hasEnded || this.#stopListening !== null) return;
    this.#stopListening = this.#listen();
    // What was said before is asked for when all that comes will be heard.
    await this.#wait(until);
  }

  #listen(): () => void {
    const { store, keyId } = this.#options;
    return store.listen(keyId, {
      told: (token, id, text) => {
        const known = this.#known;
        if (token !== known?.token || id === 0 || id > known.id + 1) this.look();
        else if (id === known.id + 1) this.#take(id, store.open(keyId, { token, id }, text));
      },
      missed: () => this.look(),
    });
  }

  #take(id: number, entry: Entry | null): void {
    if (this.#known === null || id <= this.#known.id) return;
    if (id > this.#known.id + 1 || entry === null) this.#hasHole = true;
    this.#known = { token: this.#known.token, id };
    if (!this.#hasHole) for (const chunk of entry?.chunks ?? []) this.#options.chunk(chunk);
    if (entry?.outcome === undefined) return;
    this.#hasEnded = true;
    this.#options.ended(entry.outcome);
    this.look();
  }

  async #wait(until: Date): Promise<void> {
    const [least, most] = ASK_AGAIN_MS;
    const leaseEnd = until.getTime() - Date.now() + MOST_SPREAD_MS * Math.random();
    const ms = Math.max(1, Math.min(leaseEnd, least + (most - least) * Math.random()));
    const { signal } = this.#alarm;
    await pause(ms, undefined, { signal }).catch(() => undefined);
    if (this.#alarm.signal.aborted) this.#alarm = new AbortController();
  }
}
