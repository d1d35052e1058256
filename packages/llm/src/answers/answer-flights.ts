import type { FlightEvent, FlightOutcome, Flights, Leading } from "../flight/flights.ts";
import { ModelError } from "../model-error.ts";
import type { AnswerKey } from "../request/request-key.ts";
import type { Answer, CallAmount } from "./answer.ts";
import type { Asked } from "./caller.ts";
import { Chunks } from "./chunks.ts";
import { freeze } from "./freeze.ts";
import { isSince } from "./kept.ts";
import type { FoundAnswer, KeptAnswers } from "./kept-answers.ts";
import type { PaidCalls } from "./paid-calls.ts";

export interface AnswerFlightsParts {
  readonly flights: Flights;
  readonly kept: KeptAnswers;
  readonly calls: PaidCalls;
  readonly now: () => Date;
}

/** An answer that was asked for now. */
export type Landed =
  | {
      readonly answer: Answer;
      readonly source: "leader";
      readonly amount: CallAmount;
      readonly body: unknown;
    }
  | { readonly answer: Answer; readonly source: "follower" }
  /** Somebody had come to an end with it just before this flight began. */
  | FoundAnswer;

export type LandingEvent =
  | { readonly type: "chunk"; readonly chunk: unknown; readonly source: "leader" | "follower" }
  | { readonly type: "reset" }
  | { readonly type: "landed"; readonly landed: Landed };

/** How long a caller who would rather come back is told to stay away at most. */
const COME_BACK_MS = 5_000;

/** Asks the model, together with all who want the same at the time. */
export class AnswerFlights {
  readonly #parts: AnswerFlightsParts;

  constructor(parts: AnswerFlightsParts) {
    this.#parts = parts;
  }

  /** @throws ModelError */
  async *make(asked: Asked): AsyncGenerator<LandingEvent, void, void> {
    const { key, policy, caller } = asked;
    if (key === null || policy.mode === "bypass") {
      yield* this.#alone(asked);
      return;
    }
    for (;;) {
      const landed = yield* this.#join(asked, key);
      if (landed !== null) {
        yield { type: "landed", landed };
        return;
      }
      if (caller.signal.aborted) throw stopped(caller.signal);
      yield { type: "reset" };
    }
  }

  /** Leads, or says when to come back. @throws ModelError `answer_in_flight` among others */
  async lead(asked: Asked, key: AnswerKey): Promise<Landed> {
    const { flights, now } = this.#parts;
    const own = new OwnLead();
    const outcome = await flights.leadOrNot(key.id, {
      signal: asked.caller.signal,
      lead: (leading) => own.take(leading, () => this.#lead(asked, key, leading)),
    });
    if (outcome.kind !== "busy") return landedOf(outcome, own.landed) ?? fail(outcome, own);
    const retryAfterMs = Math.min(COME_BACK_MS, Math.max(1, outcome.until.getTime() - now().getTime()));
    throw new ModelError("answer_in_flight", "Somebody else is asking the same at this moment.", {
      retryAfterMs,
      sooner: (signal) => flights.ended(key.id, retryAfterMs, signal),
    });
  }

  /** Null when another flight may get further. */
  async *#join(asked: Asked, key: AnswerKey): AsyncGenerator<LandingEvent, Landed | null, void> {
    const own = new OwnLead();
    const events = this.#parts.flights.join(key.id, {
      signal: asked.caller.signal,
      lead: (leading) => own.take(leading, () => this.#lead(asked, key, leading)),
    });
    for await (const event of events) {
      if (event.type === "end") return settled(asked, event, own);
      if (event.type === "reset") yield event;
      else yield { ...event, source: own.isUnderWay ? "leader" : "follower" };
    }
    return null;
  }

  async #lead(asked: Asked, key: AnswerKey, leading: Leading): Promise<Landed> {
    const { kept, calls } = this.#parts;
    // Somebody may have come to an end with it while this caller was looking.
    const found = await kept.find(asked, key);
    if (found !== null) return found;
    try {
      const made = await calls.make(asked, leading);
      if (await leading.holds()) await kept.add(asked, key, made);
      // All who wait in this process get the same one.
      const answer = freeze(made.answer);
      return { answer, source: "leader", amount: made.amount, body: made.completion.body };
    } catch (error) {
      if (error instanceof ModelError) await kept.addFailure(asked, key, error);
      throw error;
    }
  }

  async *#alone(asked: Asked): AsyncGenerator<LandingEvent, void, void> {
    const chunks = new Chunks();
    const { signal } = asked.caller;
    const leaving = new AbortController();
    const stop = () => leaving.abort(signal.reason);
    signal.addEventListener("abort", stop);
    if (signal.aborted) stop();
    const making = this.#parts.calls
      .make(asked, { signal: leaving.signal, emit: (chunk) => chunks.push(chunk) })
      .finally(() => chunks.end());
    // Looked at below; until then nobody hears of it.
    making.catch(() => undefined);
    try {
      for await (const chunk of chunks) yield { type: "chunk", chunk, source: "leader" };
      const { answer, amount, completion } = await making;
      yield { type: "landed", landed: { answer, source: "leader", amount, body: completion.body } };
    } finally {
      signal.removeEventListener("abort", stop);
      if (!chunks.isEnded) leaving.abort();
    }
  }
}

/** What the lead of one caller came to, if it was that one that was taken. */
class OwnLead {
  landed: Landed | null = null;
  /** Says more than what of it goes from process to process. */
  error: unknown = null;
  #signal: AbortSignal | null = null;

  /** Whether it was taken, and not lost to somebody else. */
  get isUnderWay(): boolean {
    return this.#signal?.aborted === false;
  }

  async take({ signal }: Leading, lead: () => Promise<Landed>): Promise<Answer> {
    this.#signal = signal;
    try {
      this.landed = await lead();
      return this.landed.answer;
    } catch (error) {
      this.error = error;
      throw error;
    }
  }
}

/** What the end of a flight is to a caller; null when another flight may get further. @throws ModelError */
function settled(
  { wanted }: Asked,
  { outcome, role }: Extract<FlightEvent, { type: "end" }>,
  own: OwnLead,
): Landed | null {
  const isLeader = role === "leader";
  const landed = landedOf(outcome, isLeader ? own.landed : null);
  // Who led may have asked for less, and found an answer that is too old here.
  if (landed !== null) return isSince(landed.answer, wanted.since) ? landed : null;
  if (!isLeader && isOfTheLeader(outcome)) return null;
  return fail(outcome, isLeader ? own : null);
}

/** `own`: what the caller's own lead came to, if the outcome is of that. */
function landedOf(outcome: FlightOutcome, own: Landed | null): Landed | null {
  if (outcome.kind === "failed") return null;
  return own ?? { answer: outcome.answer, source: "follower" };
}

function fail(outcome: FlightOutcome, own: OwnLead | null): never {
  if (own?.error instanceof ModelError) throw own.error;
  if (outcome.kind === "answer") throw new TypeError("An answer is no failure.");
  const { code, message } = outcome.failure;
  throw new ModelError(code, message, outcome.failure);
}

/** Whether what kept the leader from it concerns its own run or caller alone. */
function isOfTheLeader(outcome: FlightOutcome): boolean {
  if (outcome.kind === "answer") return false;
  const { code } = outcome.failure;
  return code === "max_cost_reached" || code === "model_aborted";
}

function stopped(signal: AbortSignal): ModelError {
  return new ModelError("model_aborted", "The call was stopped.", { cause: signal.reason });
}
