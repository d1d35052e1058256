import { ModelError } from "../model-error.ts";
import { NESTED_TOO_DEEP } from "../request/canonical-json.ts";
import type { ChatRequest } from "../request/chat-request.ts";
import type { RequestKeys, Scope } from "../request/request-key.ts";
import { costOf } from "../upstream/prices.ts";
import type { Upstreams } from "../upstream/upstreams.ts";
import { type Answer, type CallAmount, type Completed, chargeFor } from "./answer.ts";
import type { AnswerFlights, Landed } from "./answer-flights.ts";
import type { Asked, Caller, ReadAnswer } from "./caller.ts";
import { type Explanation, explainMiss } from "./explain.ts";
import { wantedBy } from "./kept.ts";
import type { FoundAnswer, KeptAnswers } from "./kept-answers.ts";
import type { AnswerPolicy } from "./policy.ts";
import type { Savings } from "./savings.ts";
import { asksForParts } from "./storing-rules.ts";
import type { Traces } from "./traces.ts";

/** What a streamed caller gets. What goes wrong rejects. */
export type StreamEvent<Value = unknown> =
  | {
      readonly type: "chunk";
      readonly chunk: unknown;
      /** Who pays for the call that it comes from. */
      readonly source: "leader" | "follower";
      /** Of the request; empty where it has no key. */
      readonly keyDigest: string;
    }
  /** The chunks until here are void: another call is made. */
  | { readonly type: "reset" }
  | { readonly type: "done"; readonly completed: Completed<Value> };

export interface AnswersParts {
  readonly upstreams: Upstreams;
  readonly keys: RequestKeys;
  readonly kept: KeptAnswers;
  readonly flights: AnswerFlights;
  readonly traces: Traces;
  readonly savings: Savings;
  readonly now: () => Date;
}

/** Who asks, and how the value is taken out of the answer. */
export interface Asking<Value> {
  readonly caller: Caller;
  readonly read: ReadAnswer<Value>;
}

/**
 * Answers requests, and asks a model only for what nobody has asked yet. It looks in the memory of the process, in Redis, in the ledger,
 * and among the calls on their way, in this order, before a call is made.
 */
export class Answers {
  readonly #parts: AnswersParts;

  constructor(parts: AnswersParts) {
    this.#parts = parts;
  }

  /** @throws ModelError */
  async complete<Value>(
    request: ChatRequest,
    policy: AnswerPolicy,
    asking: Asking<Value>,
  ): Promise<Completed<Value>> {
    const asked = this.#ask(request, policy, asking);
    const found = await this.#find(asked);
    if (found !== null) return this.#completed(asked, found, asking.read);
    try {
      return await this.#make(asked, asking);
    } catch (error) {
      throw stoppedOr(error, asking.caller.signal);
    }
  }

  async #make<Value>(asked: Asked, { caller, read }: Asking<Value>): Promise<Completed<Value>> {
    const { flights } = this.#parts;
    if (!caller.waits && asked.key !== null && asked.policy.mode !== "bypass") {
      return this.#completed(asked, await flights.lead(asked, asked.key), read);
    }
    for await (const event of flights.make(asked)) {
      if (event.type === "landed") return this.#completed(asked, event.landed, read);
    }
    throw new ModelError("model_aborted", "The call ended without an answer.");
  }

  /** The same, with the tokens as they come. What is there already comes at once as its end. */
  async *stream<Value>(
    request: ChatRequest,
    policy: AnswerPolicy,
    asking: Asking<Value>,
  ): AsyncGenerator<StreamEvent<Value>, void, void> {
    const asked = this.#ask(request, policy, asking);
    const found = await this.#find(asked);
    if (found !== null) {
      yield { type: "done", completed: this.#completed(asked, found, asking.read) };
      return;
    }
    const keyDigest = asked.key?.id ?? "";
    try {
      for await (const event of this.#parts.flights.make(asked)) {
        if (event.type === "chunk") yield { ...event, keyDigest };
        else if (event.type === "reset") yield event;
        else yield { type: "done", completed: this.#completed(asked, event.landed, asking.read) };
      }
    } catch (error) {
      throw stoppedOr(error, asking.caller.signal);
    }
  }

  /** Why a request would not be answered by what is kept. @throws ModelError for a model that nobody has */
  async explain(request: ChatRequest, policy: AnswerPolicy, scope: Scope): Promise<Explanation> {
    const { keys, traces, now } = this.#parts;
    const key = keys.of(request, { scope, endpoint: this.#upstreamOf(request).identity });
    return explainMiss({ key, policy, past: await traces.of(scope), now: now() });
  }

  #ask<Value>(request: ChatRequest, policy: AnswerPolicy, { caller, read }: Asking<Value>): Asked {
    const upstream = this.#upstreamOf(request);
    const key = this.#parts.keys.of(request, { scope: caller.scope, endpoint: upstream.identity });
    if ("reason" in key && key.reason === NESTED_TOO_DEEP) {
      throw new ModelError("model_rejected_request", `${key.field} ${key.reason}.`, { status: 400 });
    }
    const check = (answer: Answer) => {
      const value = read(answer);
      return value instanceof ModelError ? value : null;
    };
    const wanted = wantedBy(policy, this.#parts.now());
    // An answer holds one text; what holds more can be given to nobody else.
    const isWhole = "id" in key && !asksForParts(request);
    return { request, policy, wanted, caller, upstream, key: isWhole ? key : null, check };
  }

  #upstreamOf({ model }: ChatRequest) {
    const upstream = this.#parts.upstreams.of(model);
    if (upstream !== null) return upstream;
    throw new ModelError("model_unknown", "No endpoint is configured for this model.");
  }

  async #find(asked: Asked): Promise<FoundAnswer | null> {
    const { mode } = asked.policy;
    const looks = asked.key !== null && mode !== "bypass" && mode !== "refresh";
    const found = looks ? await this.#parts.kept.find(asked, asked.key) : null;
    if (found === null && mode === "only-if-cached") {
      throw new ModelError(
        "answer_not_cached",
        "No answer that will do is kept, and the call is not to be sent.",
      );
    }
    return found;
  }

  #completed<Value>(asked: Asked, landed: Landed, read: ReadAnswer<Value>): Completed<Value> {
    const { request, caller, key } = asked;
    const { answer, source } = landed;
    const value = read(answer);
    if (value instanceof ModelError) throw value;
    const amount = landed.source === "leader" ? landed.amount : amountOf(asked, answer);
    const { cost, saved } = chargeFor(source, amount);
    const model = answer.modelAnswered ?? request.model;
    if (saved.cause !== null) {
      const { cause, tokens } = saved;
      const unpriced = saved.cost === null ? 1 : 0;
      const sum = { model, cause, calls: 1, tokens, cost: saved.cost ?? 0, unpriced };
      this.#parts.savings.add(caller.user, sum);
    }
    const ageMs = Math.max(0, this.#parts.now().getTime() - answer.answeredAt.getTime());
    const { text, usage } = answer;
    const body = landed.source === "leader" ? landed.body : null;
    return { value, text, answer, source, usage, cost, saved, model, ageMs, keyDigest: key?.id ?? "", body };
  }
}

/** What has stopped says so in many ways. */
function stoppedOr(error: unknown, signal: AbortSignal): unknown {
  if (!signal.aborted || error instanceof ModelError) return error;
  return new ModelError("model_aborted", "The call was stopped.", { cause: signal.reason });
}

/** What it would cost to ask for an answer that is there. */
function amountOf({ request, upstream }: Asked, { usage, modelAnswered }: Answer): CallAmount {
  if (usage === null) return { cost: null, tokens: 0 };
  const price = upstream.priceOf(modelAnswered ?? request.model) ?? upstream.priceOf(request.model);
  return { cost: costOf(price, usage), tokens: usage.inputTokens + usage.outputTokens };
}
