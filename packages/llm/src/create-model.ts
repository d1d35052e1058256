import { setTimeout as pause } from "node:timers/promises";
import { type ChatRequest, createRequestBuilder, mostTokens } from "./build-request.ts";
import { type Call, type CallResult, createCall, type Endpoint } from "./call-endpoint.ts";
import { CallSlots, type Leave } from "./call-slots.ts";
import { digestOf } from "./digest.ts";
import type { Ledger, LedgerSettlement } from "./ledger.ts";
import type { Asker, Conversation, Model, Question } from "./model.ts";
import { ModelError } from "./model-error.ts";
import { costOf, type Price, priceOf } from "./prices.ts";
import { type Completion, parseAnswer, readValue } from "./read-completion.ts";
import { SpendingGate } from "./spending-gate.ts";

export interface ModelOptions extends Endpoint {
  readonly ledger: Ledger;
  /** How old an answer of the ledger may be to be given again, in milliseconds. 0: none is. */
  readonly answerReuseMs: number;
  /** Calls on their way at once; more wait in line. No limit unless told. */
  readonly callsAtOnce?: number;
  readonly now?: () => Date;
  /** Instead of the table of `prices.ts`. */
  readonly prices?: (model: string) => Price | null;
}

interface Means {
  readonly call: Call;
  readonly ledger: Ledger;
  readonly answerReuseMs: number;
  readonly now: () => Date;
  readonly prices: (model: string) => Price | null;
  readonly build: (question: Question<unknown>, model: string) => ChatRequest;
  readonly gate: SpendingGate;
  readonly slots: CallSlots;
}

/** One question on its way: its row in the ledger is open. */
interface OpenCall {
  readonly id: string;
  readonly asker: Asker;
  readonly request: ChatRequest;
  /** The most that it can cost, in nano-dollars; null when the price is not known. */
  readonly mostCost: number | null;
  /** Gives the slot of the call back. */
  readonly leave: Leave;
}

/** After the first failed attempt to settle a row, in milliseconds: 1.3 s in all, far within a lease. */
const SETTLE_PAUSES_MS = [100, 300, 900];

/** A model behind an OpenAI-compatible endpoint, with every call in the ledger. */
export function createModel(options: ModelOptions): Model {
  const { ledger, answerReuseMs, now = () => new Date(), prices = priceOf } = options;
  const build = createRequestBuilder();
  const gate = new SpendingGate();
  const slots = new CallSlots(options.callsAtOnce ?? Number.POSITIVE_INFINITY);
  const means = { call: createCall(options), ledger, answerReuseMs, now, prices, build, gate, slots };
  return { conversation: (asker) => startConversation(means, asker) };
}

function startConversation(means: Means, asker: Asker): Conversation {
  let calls = 0;
  let reusedAnswers = 0;
  return {
    get reusedAnswers() {
      return reusedAnswers;
    },
    async ask(question) {
      throwIfStopped(asker.signal);
      const request = means.build(question, asker.model);
      const digest = digestOf(request);
      const past = await findPastValue(means, asker, { question, digest });
      if (past !== null) {
        reusedAnswers += 1;
        return past.value;
      }
      const mostCost = costOf(means.prices(asker.model), { ...mostTokens(request), cachedTokens: 0 });
      const enter = async (): Promise<OpenCall> => {
        const leave = await means.slots.take(asker.signal, calls > 0).catch((): never => {
          throw stopped(asker.signal);
        });
        calls += 1;
        const id = `${asker.stepId}.f${asker.fence}.${calls}`;
        return await openCall(means, { id, asker, request, mostCost, leave }, digest);
      };
      const work = (open: OpenCall) => answerOpenCall(means, open, question);
      const { user, runId, signal, maxCost } = asker;
      if (maxCost === null || mostCost === null || mostCost > maxCost) return await work(await enter());
      const hasRoom = async () => {
        const { cost } = await means.ledger.spent(user, runId);
        return cost === null || cost + mostCost <= maxCost;
      };
      return await means.gate.pass(JSON.stringify([user, runId]), { signal, hasRoom, enter, work });
    },
  };
}

/** Writes the call's row, and settles it again when it may not be sent. A row says "sent", so it is written in the slot. */
async function openCall(means: Means, open: OpenCall, digest: string): Promise<OpenCall> {
  const { id, asker, mostCost } = open;
  const { runId, stepId, recipe, recipeVersion, model } = asker;
  const row = { id, runId, stepId, recipe, recipeVersion, digest, modelAsked: model, cost: mostCost };
  try {
    await means.ledger.open(asker.user, row);
    await refuseIfStoppedOrSpent(means, open);
    return open;
  } catch (error) {
    open.leave();
    throw error;
  }
}

/** Null when there is none, or one that does not fit the schema any more. */
async function findPastValue<Value>(
  { ledger, now, answerReuseMs }: Means,
  { user, recipe, recipeVersion, freshSince }: Asker,
  { question, digest }: { question: Question<Value>; digest: string },
): Promise<{ readonly value: Value } | null> {
  if (answerReuseMs <= 0) return null;
  const since = new Date(Math.max(now().getTime() - answerReuseMs, freshSince?.getTime() ?? 0));
  const past = await ledger.findAnswer(user, { digest, recipe, recipeVersion, since });
  if (past === null || past.answer === null) return null;
  const value = parseAnswer(past.answer, question.schema);
  return value instanceof ModelError ? null : { value };
}

async function answerOpenCall<Value>(
  means: Means,
  open: OpenCall,
  question: Question<Value>,
): Promise<Value> {
  const result = await means.call(open.request, open.asker.signal, means.now()).finally(open.leave);
  if ("error" in result) throw await settleFailure(means, open, result);
  const { completion, latencyMs } = result;
  const value = readValue(completion, question.schema);
  const failed = value instanceof ModelError;
  await settle(means.ledger, open, {
    state: failed ? "failed" : "answered",
    outcome: failed ? value.code : null,
    answer: failed ? null : completion.content,
    ...paidFor(means, open, completion),
    latencyMs,
  });
  if (failed) throw value;
  return value;
}

/** Nothing was sent yet, so a row that ends here cost nothing. */
async function refuseIfStoppedOrSpent({ ledger }: Means, open: OpenCall): Promise<void> {
  const error = await reasonNotToSend(ledger, open).catch(async (unreadable: unknown) => {
    await ledger.settle(open.asker.user, open.id, UNSENT).catch(() => undefined);
    throw unreadable;
  });
  if (error === null) return;
  await settleKeeping(error, ledger, open, { ...UNSENT, outcome: error.code });
  throw error;
}

async function reasonNotToSend(ledger: Ledger, { asker }: OpenCall): Promise<ModelError | null> {
  if (asker.maxCost !== null) {
    // Read after our own row was opened: of calls that start at once each sees the others, so together they never pass the limit.
    const { cost } = await ledger.spent(asker.user, asker.runId);
    if (cost === null) {
      return new ModelError(
        "max_cost_reached",
        "The run has a limit of cost, and the model's price is not known.",
      );
    }
    if (cost > asker.maxCost)
      return new ModelError("max_cost_reached", "The run has reached its limit of cost.");
  }
  return asker.signal.aborted ? stopped(asker.signal) : null;
}

async function settleFailure(
  { ledger }: Means,
  open: OpenCall,
  result: Extract<CallResult, { readonly error: ModelError }>,
): Promise<ModelError> {
  const { error, mayBePaid, latencyMs } = result;
  // What may be charged for stays in the books at its most.
  const settlement = mayBePaid ? ({ ...UNSENT, state: "unknown", cost: open.mostCost } as const) : UNSENT;
  await settleKeeping(error, ledger, open, { ...settlement, latencyMs, outcome: error.code });
  return error;
}

const UNSENT: LedgerSettlement = {
  state: "failed",
  modelAnswered: null,
  inputTokens: 0,
  cachedTokens: 0,
  outputTokens: 0,
  cost: 0,
  latencyMs: null,
  outcome: null,
  answer: null,
};

/** An answer that came was paid for, whether it is of use or not. Without a count its cost stays at the most. */
function paidFor(
  { prices }: Means,
  { asker, mostCost }: OpenCall,
  { usage, modelAnswered }: Completion,
): Pick<LedgerSettlement, "modelAnswered" | "inputTokens" | "cachedTokens" | "outputTokens" | "cost"> {
  if (usage === null)
    return { modelAnswered, inputTokens: 0, cachedTokens: 0, outputTokens: 0, cost: mostCost };
  const price = (modelAnswered === null ? null : prices(modelAnswered)) ?? prices(asker.model);
  return { modelAnswered, ...usage, cost: costOf(price, usage) };
}

/**
 * Tries a few times, whatever the signal says. When the store stays away it throws, and the row stays `sent`, counted at its most:
 * the step then fails like after any other failed write, and its next attempt asks again. Giving the value back instead would
 * leave a result in the store that the ledger knows nothing of.
 */
async function settle(ledger: Ledger, { asker, id }: OpenCall, settlement: LedgerSettlement): Promise<void> {
  for (const pauseMs of SETTLE_PAUSES_MS) {
    try {
      await ledger.settle(asker.user, id, settlement);
      return;
    } catch {
      await pause(pauseMs);
    }
  }
  await ledger.settle(asker.user, id, settlement);
}

/** The reason why there is no answer says more to the caller than a store that is away at the same time. */
async function settleKeeping(
  reason: ModelError,
  ledger: Ledger,
  open: OpenCall,
  settlement: LedgerSettlement,
): Promise<void> {
  try {
    await settle(ledger, open, settlement);
  } catch (error) {
    reason.cause = new AggregateError([reason.cause, error], "The call failed and could not be settled.");
  }
}

function throwIfStopped(signal: AbortSignal): void {
  if (signal.aborted) throw stopped(signal);
}

function stopped(signal: AbortSignal): ModelError {
  return new ModelError("model_aborted", "The call was stopped.", { cause: signal.reason });
}
