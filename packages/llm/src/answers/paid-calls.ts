import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import type { Admission, Closed, Gate } from "../budgets/gate.ts";
import type { ClosedReason } from "../budgets/order.ts";
import type { Leading } from "../flight/flights.ts";
import type { Ledger, LedgerOpening, LedgerSettlement } from "../ledger.ts";
import { ModelError } from "../model-error.ts";
import type { ChatRequest } from "../request/chat-request.ts";
import { mostTokens } from "../request/most-tokens.ts";
import type { CallSlots } from "../upstream/call-slots.ts";
import type { Endpoint, UpstreamResult } from "../upstream/endpoint.ts";
import { chargeOf, costOf } from "../upstream/prices.ts";
import type { Completion } from "../upstream/read-completion.ts";
import { traced } from "../upstream/telemetry.ts";
import type { Upstream } from "../upstream/upstreams.ts";
import type { Answer, CallAmount } from "./answer.ts";
import type { Asked } from "./caller.ts";
import { checkFormat } from "./check-format.ts";
import { type SchemaVerdict, whyNotStored } from "./storing-rules.ts";

/** What the operator lets a user use up in a day (UTC). Null: anything. */
export interface UserLimits {
  readonly tokensPerDay: number | null;
  /** Nano-dollars. */
  readonly costPerDay: number | null;
}

export interface PaidCallsParts {
  readonly ledger: Ledger;
  readonly gate: Gate;
  readonly endpointOf: (upstream: Upstream) => Endpoint;
  /** Calls that steps of this process have on their way at once. */
  readonly slots: CallSlots;
  readonly userLimits?: UserLimits;
  /** Of a whole call, in milliseconds. */
  readonly timeoutMs?: number;
  readonly now?: () => Date;
}

/** An answer that was paid for. */
export interface Made {
  readonly answer: Answer;
  readonly schema: SchemaVerdict;
  readonly amount: CallAmount;
  /** As the endpoint gave it. */
  readonly completion: Completion;
}

/** As OpenAI's guide to flex processing advises, in milliseconds. */
const FLEX_TIMEOUT_MS = 900_000;

/** After the first failed attempt to settle a row, in milliseconds: 1.3 s in all, far within a lease. */
const SETTLE_PAUSES_MS = [100, 300, 900];

/** Calls that leave the house: let in by the gate, written in the ledger before they are sent and settled after. */
export class PaidCalls {
  readonly #parts: PaidCallsParts;
  readonly #now: () => Date;

  constructor(parts: PaidCallsParts) {
    this.#parts = parts;
    this.#now = parts.now ?? (() => new Date());
  }

  /** @throws ModelError; what was paid for and is of no use is in the ledger all the same */
  async make(asked: Asked, leading: Pick<Leading, "signal" | "emit">): Promise<Made> {
    const { step } = asked.caller;
    const { signal } = leading;
    if (step === null) return await this.#makeInSlot(asked, leading);
    const leave = await this.#parts.slots.take(signal, step.isGoingOn()).catch((): never => {
      throw stopped(signal);
    });
    try {
      return await this.#makeInSlot(asked, leading);
    } finally {
      leave();
    }
  }

  async #makeInSlot(asked: Asked, { signal, emit }: Pick<Leading, "signal" | "emit">): Promise<Made> {
    const { caller, upstream, request } = asked;
    const most = mostOf(asked);
    const admission = await this.#enter(asked, most, signal);
    let actual: CallAmount | null = null;
    try {
      const id = await this.#open(asked, most, { signal, admission });
      const onChunk = request["stream"] === true ? emit : undefined;
      const timeoutMs = this.#timeoutOf(request);
      const endpoint = this.#parts.endpointOf(upstream);
      const result = await traced(upstream, request, () =>
        endpoint.complete(bodyOf(asked), { signal, onChunk, timeoutMs }),
      );
      admission.report(result);
      const judged = judge(asked, result, { most, now: this.#now() });
      actual = judged.amount;
      await this.#settle(caller.user, id, judged);
      if (judged.error !== null) throw judged.error;
      return judged.made;
    } finally {
      if (actual === null || actual === NOTHING) await admission.release();
      else await admission.settle(actual);
    }
  }

  /** What is cheap is worth a wait. */
  #timeoutOf(request: ChatRequest): number | undefined {
    const { timeoutMs } = this.#parts;
    return timeoutMs ?? (request["service_tier"] === "flex" ? FLEX_TIMEOUT_MS : undefined);
  }

  /** @throws ModelError `model_busy` when the call is to be made later, `max_cost_reached` when never */
  async #enter(
    { caller, upstream, request }: Asked,
    estimate: CallAmount,
    signal: AbortSignal,
  ): Promise<Admission> {
    const entered = await this.#parts.gate.enter({
      upstream,
      model: request.model,
      user: caller.user,
      runId: caller.step?.runId ?? null,
      estimate,
      userLimits: this.#parts.userLimits,
      maxCost: caller.step?.maxCost ?? null,
      signal,
    });
    if (entered.kind === "open") return entered;
    throw refusal(entered);
  }

  /** Writes the call's row, and settles it again when it may not be sent after all. */
  async #open(
    asked: Asked,
    most: CallAmount,
    { signal, admission }: { readonly signal: AbortSignal; readonly admission: Admission },
  ): Promise<string> {
    const { caller, request, upstream, key, policy, wanted } = asked;
    const { user, scope, step } = caller;
    const tier = request["service_tier"];
    const opening: LedgerOpening = {
      id: step?.attempt() ?? this.#newId(),
      scope,
      runId: step?.runId ?? null,
      stepId: step?.stepId ?? null,
      recipe: step?.recipe ?? null,
      recipeVersion: step?.recipeVersion ?? null,
      prompt: step?.prompt ?? null,
      keyId: key?.id ?? null,
      askedAnew: policy.mode !== "reuse" || wanted.since !== null || (policy.variants ?? 1) > 1,
      upstream: upstream.name,
      modelAsked: request.model,
      serviceTier: typeof tier === "string" ? tier : null,
      tokens: most.tokens,
      price: upstream.priceOf(request.model),
      cost: most.cost,
    };
    await this.#parts.ledger.open(user, opening);
    const coolingMs = admission.coolingMs();
    if (!signal.aborted && coolingMs <= 0) return opening.id;
    const error = signal.aborted
      ? stopped(signal)
      : refusal({ reason: "cooling_down", retryAfterMs: coolingMs, final: false });
    await this.#settle(user, opening.id, { settlement: { ...UNSENT, outcome: error.code }, error });
    throw error;
  }

  /** Sorts by time: rows that come together lie together in the store's index. */
  #newId(): string {
    return `call.${this.#now().getTime().toString(36).padStart(9, "0")}.${randomUUID()}`;
  }

  /**
   * Tries a few times, whatever the signal says. When the store stays away it throws, and the row stays `sent`, counted at its most: giving the
   * answer out instead would leave a result that the ledger knows nothing of. Why there is no answer says more than a store that is
   * away at the same time.
   */
  async #settle(
    user: string,
    id: string,
    { settlement, error }: { readonly settlement: LedgerSettlement; readonly error: ModelError | null },
  ): Promise<void> {
    for (const pauseMs of [...SETTLE_PAUSES_MS, null]) {
      try {
        await this.#parts.ledger.settle(user, id, settlement);
        return;
      } catch (cause) {
        if (pauseMs !== null) await pause(pauseMs);
        else if (error === null) throw cause;
        else
          error.cause = new AggregateError([error.cause, cause], "The call failed and could not be settled.");
      }
    }
  }
}

type Judged = { readonly settlement: LedgerSettlement; readonly amount: CallAmount } & (
  | { readonly error: null; readonly made: Made }
  | { readonly error: ModelError; readonly made: null }
);

/** What the call came to, for the books and for the caller. */
function judge(
  asked: Asked,
  result: UpstreamResult,
  { most, now }: { readonly most: CallAmount; readonly now: Date },
): Judged {
  const { latencyMs } = result;
  if (result.kind === "failed") {
    const { error, mayBePaid } = result;
    // What may be charged for stays in the books at its most.
    const settlement = mayBePaid ? { ...UNTOLD, state: "unknown" as const, cost: most.cost } : UNSENT;
    const amount = mayBePaid ? most : NOTHING;
    return { settlement: { ...settlement, latencyMs, outcome: error.code }, amount, error, made: null };
  }
  const { completion } = result;
  const answer = answerOf(completion, now);
  const schema = checkFormat(asked.request, answer.text);
  const error = asked.check(answer);
  const paid = paidFor(asked, completion, most);
  const amount = { cost: paid.cost, tokens: tokensOf(completion) ?? most.tokens };
  const isKept = error === null && asked.caller.step !== null && mayBeReused(asked, answer);
  const settlement: LedgerSettlement = {
    ...paid,
    state: error === null ? "answered" : "failed",
    outcome: error?.code ?? null,
    answer: isKept ? answer.text : null,
    message: isKept && (answer.message.tool_calls?.length ?? 0) > 0 ? JSON.stringify(answer.message) : null,
    latencyMs,
  };
  if (error !== null) return { settlement, amount, error, made: null };
  return { settlement, amount, error, made: { answer, schema, amount, completion } };
}

/** Whether other steps may get it out of the ledger. The step's own check has said already that it fits. */
function mayBeReused({ request, policy, upstream }: Asked, outcome: Answer): boolean {
  // For how long it is kept elsewhere is nothing to the ledger.
  const { ttlMs: _, ...rules } = policy;
  const isAlias = (asked: string, answered: string) => upstream.isAlias(asked, answered);
  return whyNotStored({ request, outcome, policy: rules, schema: "fits", isAlias }) === null;
}

/** Each with what it says of a call that is not let in. */
const REFUSALS: Readonly<Record<ClosedReason, string>> = {
  cooling_down: "The model cools down, as it was asked too much.",
  appetite: "As many calls are on their way to the model as it takes.",
  rpm: "The requests per minute that the model takes are used up.",
  tpm: "The tokens per minute that the model takes are used up.",
  user_tokens: "The tokens that a user may use in a day are used up.",
  user_money: "The money that a user may spend in a day is spent.",
  max_cost: "The run has reached its limit of cost.",
};

/** What no waiting makes room for. */
const NEVER: Partial<Record<ClosedReason, string>> = {
  user_tokens: "The call may use more tokens than a user may in a day.",
  user_money:
    "The call may cost more than a user may spend in a day, or nobody knows how much: its model needs a price, and it a limit such as max_completion_tokens.",
};

function refusal({ reason, retryAfterMs, final }: Omit<Closed, "kind">): ModelError {
  const message = (final ? NEVER[reason] : undefined) ?? REFUSALS[reason];
  if (reason === "max_cost" && final) return new ModelError("max_cost_reached", message);
  return new ModelError("model_busy", message, { retryAfterMs, retryable: !final });
}

function stopped(signal: AbortSignal): ModelError {
  return new ModelError("model_aborted", "The call was stopped.", { cause: signal.reason });
}

const NOTHING: CallAmount = { cost: 0, tokens: 0 };

const UNSENT: LedgerSettlement = {
  state: "failed",
  modelAnswered: null,
  serviceTier: null,
  inputTokens: 0,
  cachedTokens: 0,
  outputTokens: 0,
  price: null,
  cost: 0,
  promptCacheSaved: 0,
  tierSaved: 0,
  latencyMs: null,
  outcome: null,
  answer: null,
  message: null,
};

const UNTOLD = { ...UNSENT, inputTokens: null, cachedTokens: null, outputTokens: null };

/** An answer that came was paid for, whether it is of use or not. Without a count its cost stays at the most. */
function paidFor(
  { upstream, request }: Asked,
  { usage, modelAnswered, serviceTier }: Completion,
  most: CallAmount,
): Omit<LedgerSettlement, "state" | "outcome" | "answer" | "message" | "latencyMs"> {
  const price =
    (modelAnswered === null ? null : upstream.priceOf(modelAnswered)) ?? upstream.priceOf(request.model);
  if (usage === null) {
    const { inputTokens, cachedTokens, outputTokens } = UNTOLD;
    const counts = { inputTokens, cachedTokens, outputTokens };
    return {
      modelAnswered,
      serviceTier,
      ...counts,
      price: null,
      cost: most.cost,
      promptCacheSaved: null,
      tierSaved: null,
    };
  }
  const { inputTokens, cachedTokens, outputTokens } = usage;
  return {
    modelAnswered,
    serviceTier,
    inputTokens,
    cachedTokens,
    outputTokens,
    ...chargeOf(price, usage, serviceTier),
  };
}

/** The request as the endpoint takes it: a step's goes to any, a caller's as it came. */
function bodyOf({ request, upstream, caller }: Asked): ChatRequest {
  if (caller.step === null || upstream.takesPromptCacheKeys) return request;
  const { prompt_cache_key: _, ...body } = request;
  return body as ChatRequest;
}

function tokensOf({ usage }: Completion): number | null {
  return usage === null ? null : usage.inputTokens + usage.outputTokens;
}

function mostOf({ request, upstream }: Asked): CallAmount {
  const { inputTokens, outputTokens } = mostTokens(request);
  const price = upstream.priceOf(request.model);
  const cost = outputTokens === null ? null : costOf(price, { inputTokens, outputTokens, cachedTokens: 0 });
  return { tokens: inputTokens + (outputTokens ?? 0), cost };
}

function answerOf(
  { content, message, finishReason, modelAnswered, usage, id }: Completion,
  answeredAt: Date,
): Answer {
  return { text: content, message, finishReason: finishReason ?? "", modelAnswered, usage, answeredAt, id };
}
