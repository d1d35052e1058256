import type { Answers } from "./answers/answers.ts";
import type { Caller } from "./answers/caller.ts";
import type { AnswerPolicy } from "./answers/policy.ts";
import { readValue } from "./answers/read-answer.ts";
import type { Asker, Conversation, Model, Question } from "./model.ts";
import { createRequestBuilder } from "./request/build-request.ts";
import type { Scope } from "./request/request-key.ts";

export interface StepModelOptions {
  readonly answers: Answers;
  /** How old an answer of the ledger may be to be given again, in milliseconds. 0: none is. */
  readonly reuseMs: number;
  /** SHA-256 of the files of books whose answers are for all users. None unless told. */
  readonly sharedBooks?: ReadonlySet<string>;
}

/** The model as the steps of runs ask it: an answer is paid for once, and no step waits in a worker's slot. */
export function createStepModel({ answers, reuseMs, sharedBooks = NONE }: StepModelOptions): Model {
  const build = createRequestBuilder();
  return {
    conversation(asker): Conversation {
      const calls = { made: 0, reused: 0 };
      const { user, bookDigest } = asker;
      const scope: Scope = sharedBooks.has(bookDigest) ? `book:${bookDigest}` : `user:${user}`;
      return {
        get reusedAnswers() {
          return calls.reused;
        },
        async ask(question) {
          const caller = callerOf(asker, question, { calls, reuseMs, scope });
          const read = (answer: Parameters<typeof readValue>[0]) => readValue(answer, question.schema);
          const request = build(question, asker);
          const { value, source } = await answers.complete(request, policyOf(asker), { caller, read });
          if (source !== "leader") calls.reused += 1;
          return value;
        },
      };
    },
  };
}

const NONE: ReadonlySet<string> = new Set();

/** Answers from before the run began, or before the last attempt, are too old where it asked anew. */
function policyOf({ freshSince }: Asker): AnswerPolicy {
  return freshSince === null ? { mode: "reuse" } : { mode: "reuse", since: freshSince };
}

interface Circumstances {
  readonly calls: { made: number };
  readonly reuseMs: number;
  readonly scope: Scope;
}

function callerOf(
  asker: Asker,
  { prompt }: Question<unknown>,
  { calls, reuseMs, scope }: Circumstances,
): Caller {
  const { user, runId, stepId, fence, recipe, recipeVersion, maxCost, signal } = asker;
  const attempt = () => {
    calls.made += 1;
    return `${stepId}.f${fence}.${calls.made}`;
  };
  const step = { runId, stepId, attempt, isGoingOn: () => calls.made > 0, recipe, recipeVersion, prompt };
  return {
    user,
    scope,
    signal,
    step: { ...step, reuseMs, maxCost },
    waits: false,
  };
}
