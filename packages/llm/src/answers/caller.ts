import type { ModelError } from "../model-error.ts";
import type { ChatRequest } from "../request/chat-request.ts";
import type { AnswerKey, Scope } from "../request/request-key.ts";
import type { Upstream } from "../upstream/upstreams.ts";
import type { Answer } from "./answer.ts";
import type { Wanted } from "./kept.ts";
import type { AnswerPolicy } from "./policy.ts";

/** The step of a run that a call is made for. */
export interface StepCaller {
  readonly runId: string;
  readonly stepId: string;
  /** Of the call: a new one for each that is sent. */
  readonly attempt: () => string;
  /** True once it has made a call: then it comes before steps that would only begin. */
  readonly isGoingOn: () => boolean;
  readonly recipe: string;
  readonly recipeVersion: number;
  /** Which of the recipe's prompts. */
  readonly prompt: string;
  /** How old an answer of the ledger may be, in milliseconds; 0: none is taken. */
  readonly reuseMs: number;
  /** What the run may spend, in nano-dollars; null: anything. */
  readonly maxCost: number | null;
}

/** Who asks. */
export interface Caller {
  readonly user: string;
  /** Whose the answer is. */
  readonly scope: Scope;
  /** Ends the wait of this caller. */
  readonly signal: AbortSignal;
  /** Null: a caller of the public endpoint. */
  readonly step: StepCaller | null;
  /** False for a caller who would rather come back than wait for what somebody else is asking. */
  readonly waits: boolean;
}

/** Takes the value out of an answer, or says what it lacks. */
export type ReadAnswer<Value> = (answer: Answer) => Value | ModelError;

/** A request on its way through the tiers. */
export interface Asked {
  readonly request: ChatRequest;
  readonly policy: AnswerPolicy;
  readonly wanted: Wanted;
  readonly caller: Caller;
  readonly upstream: Upstream;
  /** Null: what is asked has no key, so its answer is neither shared nor kept. */
  readonly key: AnswerKey | null;
  /** Whether an answer is of use. */
  readonly check: (answer: Answer) => ModelError | null;
}
