import type { Ledger, PastAnswer } from "../ledger.ts";
import { ModelError } from "../model-error.ts";
import type { AnswerKey } from "../request/request-key.ts";
import type { Answer, AnswerSource } from "./answer.ts";
import type { Asked } from "./caller.ts";
import { chooseAnswer, type Kept, withAnswer } from "./kept.ts";
import type { Made } from "./paid-calls.ts";
import type { Shelf } from "./shelf.ts";
import { negativeTtl, whyNotStored } from "./storing-rules.ts";
import { type Traces, traceOf } from "./traces.ts";

export interface KeptAnswersParts {
  readonly shelf: Shelf;
  readonly ledger: Pick<Ledger, "findAnswer">;
  readonly traces: Traces;
  /** How long answers are kept where the call does not say. */
  readonly ttlMs: number;
  readonly now: () => Date;
}

/** An answer that need not be asked for again, and where it was. */
export interface FoundAnswer {
  readonly answer: Answer;
  readonly source: Exclude<AnswerSource, "leader" | "follower">;
}

/** Answers that are there: for an hour on the shelf, and for steps in the ledger. */
export class KeptAnswers {
  readonly #parts: KeptAnswersParts;

  constructor(parts: KeptAnswersParts) {
    this.#parts = parts;
  }

  /**
   * What will do for a call, if anything.
   *
   * @throws ModelError when the endpoint did not take the same request a moment ago, or the ledger cannot be read
   */
  async find(asked: Asked, key: AnswerKey): Promise<FoundAnswer | null> {
    const { shelf, now } = this.#parts;
    const onShelf = await shelf.find(asked.caller.scope, key);
    if (onShelf !== null) {
      const answer = chooseAnswer(onShelf.kept, asked.wanted, now());
      // What another version of the program found good may not be so any more.
      if (answer !== null && asked.check(answer) === null) return { answer, source: onShelf.tier };
      // Who wants it fresh asks whatever came of it before. A step that failed for good is asked for again by a person alone, who has changed something.
      const asksAnew = asked.caller.step !== null || asked.policy.mode === "refresh";
      if (!asksAnew) throwIfRejected(onShelf.kept, now());
    }
    return await this.#findInLedger(asked, key);
  }

  /** Keeps an answer for others, if it may be kept. */
  async add(asked: Asked, key: AnswerKey, { answer, schema }: Made): Promise<void> {
    const { request, policy, wanted, caller, upstream, check } = asked;
    const isAlias = (model: string, answered: string) => upstream.isAlias(model, answered);
    const outcome = check(answer) ?? answer;
    const notStored = whyNotStored({ request, outcome, policy, schema, isAlias });
    const { shelf, traces, ttlMs, now } = this.#parts;
    if (notStored !== null) {
      void traces.note(caller.scope, traceOf(key, now(), { notStored }));
      return;
    }
    const until = new Date(now().getTime() + (policy.ttlMs ?? ttlMs));
    await shelf.change(caller.scope, key, (kept) => withAnswer(kept, { answer, until }, wanted));
    void traces.note(caller.scope, traceOf(key, now(), { expiresAt: until }));
  }

  /** Remembers for a moment what the request itself is to blame for. */
  async addFailure({ policy, caller }: Asked, key: AnswerKey, error: ModelError): Promise<void> {
    const { shelf, traces, now } = this.#parts;
    void traces.note(caller.scope, traceOf(key, now(), { notStored: "failed" }));
    const forMs = negativeTtl(error, policy);
    if (forMs === null) return;
    const until = new Date(now().getTime() + forMs);
    const { code, message, status } = error;
    const rejection = { code, message, status, until };
    await shelf.change(caller.scope, key, (kept) => ({ ...kept, rejection }));
  }

  async #findInLedger(asked: Asked, key: AnswerKey): Promise<FoundAnswer | null> {
    const { caller, wanted } = asked;
    const { step } = caller;
    if (step === null || step.reuseMs <= 0) return null;
    const { recipe, recipeVersion } = step;
    const since = new Date(
      Math.max(this.#parts.now().getTime() - step.reuseMs, wanted.since?.getTime() ?? 0),
    );
    const query = { keyId: key.id, recipe, recipeVersion, since };
    const past = await this.#parts.ledger.findAnswer(caller.scope, query);
    const answer = past && answerOf(past);
    return answer && asked.check(answer) === null ? { answer, source: "ledger" } : null;
  }
}

function throwIfRejected({ rejection }: Kept, now: Date): void {
  if (rejection === null || rejection.until <= now) return;
  const { code, message, status } = rejection;
  throw new ModelError(code, message, { status });
}

/** Null for a row without a text. */
function answerOf(past: PastAnswer): Answer | null {
  const { id, answer: text, message, modelAnswered, inputTokens, cachedTokens, outputTokens } = past;
  if (text === null) return null;
  return {
    text,
    message: message === null ? { role: "assistant", content: text } : JSON.parse(message),
    finishReason: "stop",
    modelAnswered,
    usage: inputTokens === null || outputTokens === null ? null : { inputTokens, cachedTokens, outputTokens },
    answeredAt: past.settledAt ?? new Date(0),
    id,
  };
}
