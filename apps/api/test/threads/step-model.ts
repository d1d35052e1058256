import { randomUUID } from "node:crypto";
import {
  type AnswersConfig,
  type Asker,
  createStepModel,
  type Model,
  type OpenAnswers,
  openConfiguredAnswers,
  type Question,
  Upstream,
  Upstreams,
} from "@mythic/llm";
import type { AnsweringApi } from "../answering-api.ts";

export interface StepModel extends AsyncDisposable {
  readonly model: Model;
  readonly answers: OpenAnswers;
}

const DAY_MS = 24 * 3_600_000;

/** What a worker opens beside this API; with `isColdStart` nothing but the store is left of before. */
export async function openStepModel(
  { api, fake }: AnsweringApi,
  { isColdStart = false }: { readonly isColdStart?: boolean } = {},
): Promise<StepModel> {
  const { baseUrl } = fake;
  const config: AnswersConfig = {
    model: null,
    upstreams: new Upstreams([new Upstream({ name: "fake", baseUrl, apiKey: "up", models: ["*"] })]),
    secret: null,
    encryptionKeys: [],
    reuseMs: DAY_MS,
    userLimits: { tokensPerDay: null, costPerDay: null },
    sharedBooks: new Set(),
  };
  const caching = isColdStart ? { cache: null, redis: null, namespace: `cold-${randomUUID()}` } : api.caching;
  const answers = await openConfiguredAnswers(config, { store: api.store, caching, ttlMs: 3_600_000 });
  if (answers === null) throw new Error("There is an endpoint, so there are answers.");
  return {
    answers,
    model: createStepModel({ answers: answers.answers, reuseMs: DAY_MS }),
    [Symbol.asyncDispose]: () => answers[Symbol.asyncDispose](),
  };
}

type AskedOfStep<Value> = Partial<Question<Value>> & Pick<Question<Value>, "input" | "schema">;

/** Asks as a step of a new run of Ada's, unless told of another. */
export async function askStep<Value>(
  { model }: StepModel,
  question: AskedOfStep<Value>,
  of: Partial<Asker> = {},
): Promise<Value> {
  const runId = of.runId ?? `run-${randomUUID()}`;
  const conversation = model.conversation({
    user: "ada",
    runId,
    stepId: `${runId}.chapter.${question.input.length}`,
    fence: 1,
    recipe: "summary",
    recipeVersion: 1,
    model: "gpt-5-mini",
    bookDigest: "0".repeat(64),
    freshSince: null,
    maxCost: null,
    serviceTier: null,
    signal: new AbortController().signal,
    ...of,
  });
  return await conversation.ask({
    prompt: "chapter",
    instructions: "Answer in JSON.",
    schemaName: "answer",
    maxOutputTokens: 1_000,
    ...question,
  });
}
