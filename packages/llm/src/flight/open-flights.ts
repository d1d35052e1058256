import { setTimeout as pause } from "node:timers/promises";
import type { GuardedRedis } from "@mythic/shared/redis";
import { createSealer, type Sealer } from "../answers/sealing.ts";
import { entryFormat } from "./entry.ts";
import { type Caller, Flight } from "./flight.ts";
import { FlightStore } from "./flight-store.ts";
import type { Busy, FlightEvent, FlightNote, FlightOutcome, Flights, JoinOptions } from "./flights.ts";

export interface FlightsOptions {
  /** Null: callers of this process alone share flights. They do so, too, while Redis does not answer. */
  readonly redis: GuardedRedis | null;
  /** In front of all keys: `mythic`. */
  readonly namespace: string;
  /** After so long without a sign of life a leader is taken for lost. 5,000 unless told; the same in all processes. */
  readonly leaseMs?: number;
  /** Makes what is in Redis, and on its way to others, unreadable. It is plain text unless told. */
  readonly sealer?: Sealer;
  /** Must not throw. */
  readonly onEvent?: (note: FlightNote) => void;
}

const CLOSED = "The flights were closed.";
/** How long ends of flights may take to be written when all is closed. */
const GRACE_MS = 500;

/** Begins to share calls: one upstream for any number of callers. */
export function openFlights(options: FlightsOptions): Flights {
  return new SharedFlights(options);
}

class SharedFlights implements Flights {
  readonly #options: FlightsOptions;
  readonly #leaseMs: number;
  readonly #store: FlightStore | null;
  readonly #flights = new Map<string, Flight>();
  readonly #lingering = new Set<Promise<unknown>>();
  /** Of flights that have ended here, until Redis knows of it. */
  readonly #untold = new Map<string, Promise<void>>();
  readonly #unwatchBreaker: (() => void) | undefined;
  #isClosed = false;

  constructor(options: FlightsOptions) {
    const { redis, namespace, leaseMs = 5_000, sealer = createSealer([]) } = options;
    this.#options = options;
    this.#leaseMs = leaseMs;
    this.#store = redis && new FlightStore(redis, { namespace, leaseMs, format: entryFormat(sealer) });
    this.#unwatchBreaker = redis?.breaker.onChange(() => {
      for (const flight of this.#flights.values()) flight.look();
    });
  }

  async *join(keyId: string, { signal, lead }: JoinOptions): AsyncGenerator<FlightEvent, void> {
    yield* this.#enter(keyId, { lead, follows: true }, signal).events;
  }

  async leadOrNot(
    keyId: string,
    { signal, lead }: JoinOptions,
  ): Promise<(FlightOutcome & { readonly role: "leader" }) | Busy> {
    const there = this.#flights.get(keyId);
    if (there !== undefined) return { kind: "busy", until: there.until };
    const { flight, events } = this.#enter(keyId, { lead, follows: false }, signal);
    for await (const event of events) {
      if (event.type === "end") return { ...event.outcome, role: "leader" };
    }
    return { kind: "busy", until: flight.until };
  }

  async ended(keyId: string, ms: number, signal: AbortSignal): Promise<void> {
    const inTime = AbortSignal.any([signal, AbortSignal.timeout(ms)]);
    const { events } = this.#enter(keyId, { lead: null, follows: true }, inTime);
    try {
      for await (const event of events) if (event.type === "end") return;
    } catch {
      // The time is up, or the flight broke; either way there is nothing more to wait for.
      signal.throwIfAborted();
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#unwatchBreaker?.();
    const error = new Error(CLOSED);
    await Promise.all([...this.#flights.values()].map((flight) => flight.close(error)));
    await Promise.race([Promise.all(this.#lingering), pause(GRACE_MS, undefined, { ref: false })]);
    await this.#store?.close();
  }

  /** @throws the signal's reason, or an error when the flights were closed */
  #enter(keyId: string, caller: Caller, signal: AbortSignal) {
    signal.throwIfAborted();
    if (this.#isClosed) throw new Error(CLOSED);
    const flight = this.#flights.get(keyId) ?? this.#begin(keyId);
    flight.enter(caller);
    return { flight, events: flight.events(caller, signal) };
  }

  #begin(keyId: string): Flight {
    const flight: Flight = new Flight({
      keyId,
      store: this.#store,
      leaseMs: this.#leaseMs,
      note: (kind) => this.#options.onEvent?.({ kind, keyId }),
      over: () => {
        if (this.#flights.get(keyId) === flight) this.#flights.delete(keyId);
      },
      after: this.#untold.get(keyId) ?? Promise.resolve(),
      linger: (work, told) => {
        this.#lingering.add(work);
        void work.finally(() => this.#lingering.delete(work));
        this.#untold.set(keyId, told);
        void told.then(() => {
          if (this.#untold.get(keyId) === told) this.#untold.delete(keyId);
        });
      },
    });
    this.#flights.set(keyId, flight);
    return flight;
  }
}
