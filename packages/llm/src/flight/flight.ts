import { randomUUID } from "node:crypto";
import { FAULT, failureOf } from "./failure.ts";
import { FlightLog, type LogEnd } from "./flight-log.ts";
import type { FlightStore, Reply } from "./flight-store.ts";
import type { FlightEvent, FlightNote, FlightOutcome, Lead, Leading } from "./flights.ts";
import { Following } from "./following.ts";
import { Lease } from "./lease.ts";

/** Someone in this process who takes part in a flight. */
export interface Caller {
  /** Null for who only wants to know when it has ended. */
  readonly lead: Lead | null;
  /** Whether to stay when somebody elsewhere leads. */
  readonly follows: boolean;
}

export interface FlightOptions {
  readonly keyId: string;
  /** Null: the flight is one of this process alone. */
  readonly store: FlightStore | null;
  readonly leaseMs: number;
  readonly note: (kind: FlightNote["kind"]) => void;
  /** Called when callers that come now must not enter any more. */
  readonly over: () => void;
  /** Until then Redis may take a flight for led that has ended here. */
  readonly after: Promise<void>;
  /** Given what should be done before the process ends, and when Redis has heard of the flight's end. */
  readonly linger: (work: Promise<unknown>, told: Promise<void>) => void;
}

/** What ended a lead from outside. */
type Stop = "lost" | "unheard" | "closed";

const REASONS: Readonly<Record<Stop, string>> = {
  lost: "Another process leads this call, or is about to.",
  unheard: "Nobody waits for this call any more.",
  closed: "This process ends.",
};

interface Result {
  readonly outcome: FlightOutcome;
  /** A fault that callers of this process get in the place of the outcome. */
  readonly fault?: { readonly error: unknown };
}

/**
 * The part of one process in a flight, shared by all its callers:
 *
 *     asking → leading → over             the lease is ours, or there is no Redis to ask
 *     asking → following → over           another process leads
 *     leading → asking                    the lease was lost
 *     following → asking → leading …      the leader was lost
 *
 * It is over early when all its callers have left.
 */
export class Flight {
  readonly #options: FlightOptions;
  /** Ends with null when there is no flight to wait for. */
  readonly #log = new FlightLog<FlightOutcome | null>();
  readonly #callers = new Set<Caller>();
  /** Null once Redis did not answer: from then on the flight is one of this process alone. */
  #shared: { readonly store: FlightStore; readonly following: Following } | null;
  #leader: Caller | null = null;
  #lease: Lease | null = null;
  #stopLeading: ((stop: Stop) => void) | null = null;
  #isGivingBack = false;
  #isFlying = false;

  constructor(options: FlightOptions) {
    const { keyId, store } = options;
    this.#options = options;
    this.#shared = store && { store, following: this.#following(store, keyId) };
  }

  /** Until when at most whoever leads now does so without a sign of life. */
  get until(): Date {
    const { leaseMs } = this.#options;
    return this.#lease?.until ?? this.#shared?.following.until ?? new Date(Date.now() + leaseMs);
  }

  /** Takes a caller in; the first one starts the flight. */
  enter(caller: Caller): void {
    this.#callers.add(caller);
    if (this.#isFlying) return;
    this.#isFlying = true;
    void this.#fly();
  }

  /**
   * What the flight brings to a caller that has entered: until its end, until the signal is aborted, or, to who does not
   * follow, until somebody elsewhere leads. The caller leaves with it.
   */
  async *events(caller: Caller, signal: AbortSignal): AsyncGenerator<FlightEvent, void> {
    const wake = () => this.#log.wakeReaders();
    const isWanted = () => {
      signal.throwIfAborted();
      return this.#callers.has(caller) || this.#log.hasEnded;
    };
    signal.addEventListener("abort", wake);
    try {
      for await (const event of this.#log.read(isWanted)) {
        if (event.type !== "end") yield event;
        else if (event.end !== null) {
          const role = caller === this.#leader ? "leader" : "follower";
          yield { type: "end", outcome: event.end, role };
        }
      }
    } finally {
      signal.removeEventListener("abort", wake);
      this.#leave(caller);
    }
  }

  /** The connection to Redis was lost, or is back. */
  look(): void {
    this.#shared?.following.look();
  }

  /** Hands the flight over to who listens elsewhere. Callers of this process get the error. */
  async close(error: Error): Promise<void> {
    const lease = this.#lease;
    this.#finish({ kind: "broken", error });
    this.#stopLeading?.("closed");
    this.look();
    await lease?.giveBack("even if waited for");
  }

  #leave(caller: Caller): void {
    this.#callers.delete(caller);
    if (this.#callers.size > 0) return;
    this.look();
    void this.#stopUnheard();
  }

  async #fly(): Promise<void> {
    try {
      await this.#options.after;
      while (this.#callers.size > 0 && !this.#log.hasEnded) await this.#turn();
    } catch (error) {
      this.#log.finish({ kind: "broken", error });
    }
    this.#shared?.following.stop();
    this.#options.over();
  }

  async #turn(): Promise<void> {
    const shared = this.#shared;
    if (shared === null) return await this.#lead(null);
    const { store, following } = shared;
    const token = this.#firstToLead() === null ? null : randomUUID();
    const askedAt = performance.now();
    let reply: Reply;
    try {
      reply = await store.ask(this.#options.keyId, { token, known: following.known });
    } catch {
      return this.#goAlone();
    }
    if (reply === null) return this.#endIfNoneLeads();
    if (reply.token === token) return await this.#lead(this.#leaseOf(store, { token, askedAt }));
    this.#turnAway();
    if (this.#callers.size > 0) await following.follow(reply);
    if (this.#callers.size === 0) await store.leave(this.#options.keyId).catch(() => undefined);
  }

  #following(store: FlightStore, keyId: string): Following {
    return new Following({
      store,
      keyId,
      chunk: (chunk) => this.#log.append(chunk),
      restarted: () => this.#log.restart(),
      ended: (outcome) => this.#finish({ kind: "ended", end: outcome }),
    });
  }

  #finish(end: LogEnd<FlightOutcome | null>): void {
    this.#log.finish(end);
    this.#options.over();
  }

  #firstToLead(): LeadingCaller | null {
    // A flight that was closed still has callers until they hear of it.
    return this.#log.hasEnded ? null : ([...this.#callers].find(canLead) ?? null);
  }

  #goAlone(): void {
    this.#shared?.following.stop();
    this.#shared = null;
    this.#options.note("alone");
  }

  /** Callers who only want to know need not wait. */
  #endIfNoneLeads(): void {
    if (this.#firstToLead() === null) this.#finish({ kind: "ended", end: null });
  }

  /** Lets those go who do not follow. */
  #turnAway(): void {
    for (const caller of this.#callers) if (!caller.follows) this.#callers.delete(caller);
    this.#log.wakeReaders();
  }

  #leaseOf(store: FlightStore, grant: { readonly token: string; readonly askedAt: number }): Lease {
    return new Lease({
      ...grant,
      store,
      keyId: this.#options.keyId,
      lost: () => this.#stopLeading?.("lost"),
      cutOff: () => this.#goAlone(),
      unheard: () => void this.#stopUnheard(),
    });
  }

  async #lead(lease: Lease | null): Promise<void> {
    const caller = this.#firstToLead();
    // While Redis was asked all who could lead may have left.
    if (caller === null) {
      await lease?.giveBack("even if waited for");
      return this.#endIfNoneLeads();
    }
    if (this.#shared?.following.known) this.#options.note("took_over");
    this.#shared?.following.stop();
    this.#log.restart();
    this.#leader = caller;
    this.#lease = lease;
    const { promise: stopped, resolve } = Promise.withResolvers<Stop>();
    const controller = new AbortController();
    this.#stopLeading = (stop) => {
      controller.abort(new DOMException(REASONS[stop], "AbortError"));
      resolve(stop);
    };
    this.#options.note("led");
    const end = await Promise.race([call(caller.lead, this.#leading(controller.signal, lease)), stopped]);
    this.#stopLeading = null;
    this.#lease = null;
    if (typeof end === "string") this.#stopped(end, lease);
    else this.#landed(end, lease);
  }

  #leading(signal: AbortSignal, lease: Lease | null): Leading {
    return {
      signal,
      emit: (chunk) => {
        if (signal.aborted || this.#log.hasEnded) return;
        this.#log.append(chunk);
        lease?.append(chunk);
      },
      holds: async () => (await lease?.holds()) ?? true,
    };
  }

  /** Callers of this process do not wait for Redis. */
  #landed({ outcome, fault }: Result, lease: Lease | null): void {
    this.#finish(
      fault === undefined ? { kind: "ended", end: outcome } : { kind: "broken", error: fault.error },
    );
    if (lease !== null) this.#options.linger(lease.end(outcome), lease.told);
  }

  #stopped(stop: Stop, lease: Lease | null): void {
    this.#leader = null;
    if (stop === "unheard") this.#options.note("abandoned");
    if (stop !== "lost" || lease === null) return;
    this.#options.note("fenced");
    // Whoever leads now does so for those who wait here, too, also when that has ended already.
    this.#shared?.following.waitFor(lease.token);
  }

  /** Ends the lead unless somebody listens, here or elsewhere. */
  async #stopUnheard(): Promise<void> {
    if (this.#callers.size > 0 || this.#stopLeading === null || this.#isGivingBack) return;
    this.#isGivingBack = true;
    const stop = this.#stopLeading;
    const isUnheard = this.#lease === null || (await this.#lease.giveBack("not if waited for"));
    this.#isGivingBack = false;
    if (!isUnheard) return;
    // Who comes now need not come back later because of a call that is being hung up on.
    if (this.#callers.size === 0) this.#options.over();
    stop("unheard");
  }
}

type LeadingCaller = Caller & { readonly lead: Lead };

const canLead = (caller: Caller): caller is LeadingCaller => caller.lead !== null;

/** Never rejects. */
async function call(lead: Lead, leading: Leading): Promise<Result> {
  try {
    return { outcome: { kind: "answer", answer: await lead(leading) } };
  } catch (error) {
    const failure = failureOf(error);
    return failure === null
      ? { outcome: { kind: "failed", failure: FAULT }, fault: { error } }
      : { outcome: { kind: "failed", failure } };
  }
}
