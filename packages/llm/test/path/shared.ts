import { defineFamily } from "@mythic/shared/cache";
import { z } from "zod";
import type { Caller, StepCaller } from "../../src/answers/caller.ts";
import type { ChatRequest } from "../../src/request/chat-request.ts";

export const HOUR_MS = 3_600_000;
export const SECRET = "a secret of the tests, which is long enough";

/** As `@mythic/runs` declares it. */
export const answersFamily = defineFamily({
  name: "answers",
  scope: "user",
  version: 1,
  ttlMs: HOUR_MS,
  hard: true,
  schema: z.record(z.string(), z.unknown()),
  key: (keyId: string) => keyId,
  tags: (scope: string) => [`${scope}:answers`],
});

export const TEXT = "The lamp had burned for ninety years before anybody asked who paid for the oil.";

/** A request with a single message, about a text that can be found again. */
export function requestFor(extra: Readonly<Record<string, unknown>> = {}): ChatRequest {
  return { model: "gpt-5-mini", messages: [{ role: "user", content: TEXT }], ...extra };
}

/** A caller of the endpoint. */
export function callerWith(extra: Partial<Caller> = {}): Caller {
  const { signal } = new AbortController();
  return { user: "ada", scope: "user:ada", signal, step: null, waits: true, ...extra };
}

let attempts = 0;

/** A caller for a step of a run, whose answers of the last month will do. */
export function stepCaller(extra: Partial<StepCaller> = {}, rest: Partial<Caller> = {}): Caller {
  const step: StepCaller = {
    runId: "run1",
    stepId: "run1.summary.c1",
    attempt: () => `run1.summary.c1.f1.${++attempts}`,
    isGoingOn: () => false,
    recipe: "summary",
    recipeVersion: 1,
    prompt: "summary.chapter",
    reuseMs: 30 * 86_400_000,
    maxCost: null,
    ...extra,
  };
  return callerWith({ step, waits: false, ...rest });
}

interface Chunk {
  readonly choices: readonly { readonly delta: { readonly content?: string | null } }[];
}

/** The words of a chunk, which must be well-formed. */
export function textOfChunk(chunk: unknown): string {
  return (chunk as Chunk).choices.map(({ delta }) => delta.content ?? "").join("");
}
