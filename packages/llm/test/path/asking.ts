import { expect } from "@jest/globals";
import type { Completed } from "../../src/answers/answer.ts";
import type { Answers, StreamEvent } from "../../src/answers/answers.ts";
import type { Caller, ReadAnswer } from "../../src/answers/caller.ts";
import type { AnswerPolicy } from "../../src/answers/policy.ts";
import { readText } from "../../src/answers/read-answer.ts";
import type { ModelError } from "../../src/model-error.ts";
import type { ChatRequest } from "../../src/request/chat-request.ts";
import { failureOf } from "../asking.ts";
import { callerWith, requestFor, textOfChunk } from "./shared.ts";

export { callerWith, requestFor, stepCaller, TEXT } from "./shared.ts";

/** Sources of what is kept for a while. A process that is told of a change, be it its own, looks in Redis once more. */
export const CACHED: unknown = expect.stringMatching(/^(?:l1|redis)$/);

export const REUSE: AnswerPolicy = { mode: "reuse" };
export const REFRESH: AnswerPolicy = { mode: "refresh" };
export const BYPASS: AnswerPolicy = { mode: "bypass" };
export const ONLY_IF_CACHED: AnswerPolicy = { mode: "only-if-cached" };

/** Asks for JSON of one shape. */
export const asJson = {
  response_format: {
    type: "json_schema",
    json_schema: {
      name: "summary",
      strict: true,
      schema: {
        type: "object",
        properties: { quote: { type: "string" } },
        required: ["quote"],
        additionalProperties: false,
      },
    },
  },
};

export interface Ask {
  readonly request?: ChatRequest;
  readonly policy?: AnswerPolicy;
  readonly caller?: Caller;
  readonly read?: ReadAnswer<unknown>;
}

export async function ask(
  { answers }: { readonly answers: Answers },
  { request = requestFor(), policy = REUSE, caller = callerWith(), read }: Ask = {},
): Promise<Completed> {
  return await answers.complete(request, policy, {
    caller,
    read: read ?? ((answer) => readText(request, answer)),
  });
}

/** The code of the error that asking ends with. */
export async function codeOf(asking: Promise<unknown>): Promise<ModelError["code"]> {
  return (await failureOf(asking)).code;
}

/** Whether the answer to a request is kept, without asking for it. */
export async function isKept(member: { readonly answers: Answers }, asked: Ask = {}): Promise<boolean> {
  const policy = { ...asked.policy, mode: "only-if-cached" } as const;
  const outcome = await ask(member, { ...asked, policy }).catch((error: unknown) => error);
  if (outcome instanceof Error && (!("code" in outcome) || outcome.code !== "answer_not_cached"))
    throw outcome;
  return !(outcome instanceof Error);
}

export function stream(
  { answers }: { readonly answers: Answers },
  { request = requestFor(), policy = REUSE, caller = callerWith(), read }: Ask = {},
): AsyncGenerator<StreamEvent, void, void> {
  const streamed = { ...request, stream: true };
  return answers.stream(streamed, policy, { caller, read: read ?? ((answer) => readText(streamed, answer)) });
}

/** What a streamed caller saw. */
export class Seen {
  /** The words of the chunks so far, resets being `|`. */
  text = "";
  completed: Completed | null = null;
  error: unknown = null;
  readonly done: Promise<void>;

  constructor(events: AsyncIterable<StreamEvent>) {
    this.done = this.#read(events);
  }

  async #read(events: AsyncIterable<StreamEvent>): Promise<void> {
    try {
      for await (const event of events) {
        if (event.type === "chunk") this.text += textOfChunk(event.chunk);
        if (event.type === "reset") this.text += "|";
        if (event.type === "done") this.completed = event.completed;
      }
    } catch (error) {
      this.error = error;
    }
  }
}
