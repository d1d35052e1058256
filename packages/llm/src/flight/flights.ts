import type { Answer } from "../answers/answer.ts";
import type { ModelErrorCode } from "../model-error.ts";

/** Why no answer came, in a form that goes from process to process. */
export interface FlightFailure {
  readonly code: ModelErrorCode;
  readonly message: string;
  readonly retryable: boolean;
  /** Of HTTP. Null: there was no response, or it is not known. */
  readonly status: number | null;
  readonly retryAfterMs: number | null;
  readonly mayBePaid: boolean;
}

export type FlightOutcome =
  | { readonly kind: "answer"; readonly answer: Answer }
  | { readonly kind: "failed"; readonly failure: FlightFailure };

/** Of all callers of a flight only the one whose `lead` was taken leads. */
type FlightRole = "leader" | "follower";

/**
 * - `chunk`: a `chat.completion.chunk` as it came. All chunks since the beginning or the last reset are a prefix of what the leader got:
 *   the whole of it as a rule, less for a follower whose Redis lost a part or whose answer outgrew what is kept there.
 * - `reset`: another leader begins anew, so the chunks until here are void.
 * - `end`: the last event, with the whole answer.
 */
export type FlightEvent =
  | { readonly type: "chunk"; readonly chunk: unknown }
  | { readonly type: "reset" }
  | { readonly type: "end"; readonly outcome: FlightOutcome; readonly role: FlightRole };

export interface Leading {
  /** Aborted when nobody listens any more, in whatever process, or the lease is lost. What comes of the lead then is of no interest. */
  readonly signal: AbortSignal;
  /** Gives a chunk to all who listen. It must be JSON and must not change any more. */
  emit(chunk: unknown): void;
  /**
   * False once the lease is lost: then nothing may be stored, as somebody else's answer counts. True, too, when Redis cannot be asked, as
   * then there is nobody to be held back by.
   */
  holds(): Promise<boolean>;
}

/**
 * Makes the one call. A flight that has ended is forgotten, so who comes a moment too late leads anew: a lead that can find the answer in a
 * cache looks there first.
 *
 * What it throws ends the flight for all who wait: a `ModelError` as the outcome `failed`. Any other error is thrown at the callers
 * in this process, and those elsewhere get the outcome `failed` without its words.
 */
export type Lead = (leading: Leading) => Promise<Answer>;

export interface JoinOptions {
  /** Ends the wait of this caller, who leaves the flight; it goes on while anybody else listens. */
  readonly signal: AbortSignal;
  readonly lead: Lead;
}

/** Somebody else leads, and will have ended or renewed the lease by then. */
export interface Busy {
  readonly kind: "busy";
  readonly until: Date;
}

/** One call upstream for any number of callers who want the same. */
export interface Flights {
  /**
   * Joins the flight of a key, or starts it: of all who join, in whatever process, one leads at a time. Iterating starts it; leaving the
   * loop leaves the flight.
   */
  join(keyId: string, options: JoinOptions): AsyncIterable<FlightEvent>;
  /** Leads at once, or says that someone else does: for a step that would rather give its slot back than wait. */
  leadOrNot(
    keyId: string,
    options: JoinOptions,
  ): Promise<(FlightOutcome & { readonly role: "leader" }) | Busy>;
  /**
   * Resolves when the flight of a key has ended or there is none, or after so many milliseconds. Who waits like this is one of
   * those for whom the flight goes on.
   */
  ended(keyId: string, ms: number, signal: AbortSignal): Promise<void>;
  /** Leaves all flights: those led from here are handed over to who listens elsewhere. Callers in this process get an error. */
  close(): Promise<void>;
}

/**
 * - `led`: a lead began
 * - `took_over`: and it did so in the place of a leader who was lost; comes before `led`
 * - `alone`: there is a Redis, but it did not answer, so only callers of this process share; comes before `led`, or in mid-flight
 * - `fenced`: a lead of this process lost its lease and was aborted
 * - `abandoned`: nobody listened any more
 */
export interface FlightNote {
  readonly kind: "led" | "took_over" | "alone" | "fenced" | "abandoned";
  readonly keyId: string;
}
