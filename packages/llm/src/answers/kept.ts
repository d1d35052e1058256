import { z } from "zod";
import { MODEL_ERROR_CODES } from "../model-error.ts";
import type { Answer } from "./answer.ts";
import type { AnswerPolicy } from "./policy.ts";

/** An answer that is kept, and until when. */
export interface KeptAnswer {
  readonly answer: Answer;
  readonly until: Date;
}

/** Why an endpoint does not take a request, remembered for a minute. */
interface Rejection {
  readonly code: (typeof MODEL_ERROR_CODES)[number];
  readonly message: string;
  /** Of the endpoint's response; null: it had none. */
  readonly status: number | null;
  readonly until: Date;
}

/** What is kept under a key. */
export interface Kept {
  /** The oldest first; more than one where variants were asked for. */
  readonly answers: readonly KeptAnswer[];
  readonly rejection: Rejection | null;
}

export const NOTHING_KEPT: Kept = { answers: [], rejection: null };

const time = z.iso.datetime().transform((text) => new Date(text));

const answerSchema: z.ZodType<Answer, unknown> = z.object({
  text: z.string(),
  message: z.object({
    role: z.literal("assistant"),
    content: z.string().nullable(),
    refusal: z.string().nullable().exactOptional(),
    tool_calls: z.array(z.unknown()).exactOptional(),
  }),
  finishReason: z.string(),
  modelAnswered: z.string().nullable(),
  usage: z
    .object({
      inputTokens: z.number(),
      cachedTokens: z.number().nullable(),
      outputTokens: z.number(),
      reasoningTokens: z.number().exactOptional(),
    })
    .nullable(),
  answeredAt: time,
  id: z.string(),
});

const keptSchema: z.ZodType<Kept, unknown> = z.object({
  answers: z.array(z.object({ answer: answerSchema, until: time })),
  rejection: z
    .object({
      code: z.enum(MODEL_ERROR_CODES),
      message: z.string(),
      status: z.number().nullable(),
      until: time,
    })
    .nullable(),
});

/** Null for what another version of the program wrote, or nobody. */
export function parseKept(value: unknown): Kept | null {
  const parsed = keptSchema.safeParse(value);
  return parsed.success ? parsed.data : null;
}

/** Which of the kept answers will do. */
export interface Wanted {
  /** When it was answered at the earliest; null: at any time. */
  readonly since: Date | null;
  /** Of how many one is drawn. */
  readonly variants: number;
}

/** What a call takes whose policy this is. */
export function wantedBy({ mode, maxAgeMs, since, variants = 1 }: AnswerPolicy, now: Date): Wanted {
  const bounds = [
    ...(mode === "refresh" ? [now.getTime()] : []),
    ...(maxAgeMs === undefined ? [] : [now.getTime() - maxAgeMs]),
    ...(since === undefined ? [] : [since.getTime()]),
  ];
  return { since: bounds.length === 0 ? null : new Date(Math.max(...bounds)), variants };
}

/** One of the answers that will do, drawn at random where several variants are wanted; null when there are too few. */
export function chooseAnswer({ answers }: Kept, { since, variants }: Wanted, now: Date): Answer | null {
  const young = answers.filter(({ answer, until }) => until > now && isSince(answer, since));
  if (young.length < variants) return null;
  const chosen = variants === 1 ? young.at(-1) : young[Math.floor(Math.random() * young.length)];
  return chosen?.answer ?? null;
}

/** What is kept once an answer has come: beside those that are there up to the number of variants, else in their place. */
export function withAnswer({ answers }: Kept, added: KeptAnswer, { since, variants }: Wanted): Kept {
  const others = answers.filter(
    ({ answer, until }) => until > added.answer.answeredAt && isSince(answer, since),
  );
  const before = variants === 1 ? [] : others.slice(1 - variants);
  return { answers: [...before, added], rejection: null };
}

export function isSince({ answeredAt }: Answer, since: Date | null): boolean {
  return since === null || answeredAt >= since;
}
