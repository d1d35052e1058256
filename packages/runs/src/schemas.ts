import { z } from "zod";
import { LIVE_RUN_STATUSES, TERMINAL_RUN_STATUSES } from "./run.ts";

const failureSchema = z.object({ code: z.string(), detail: z.string() });

/** The shape of a run wherever it is kept, each with times of its own kind: dates in a store, text in JSON. */
export function runSchema<Time extends z.ZodType>(time: Time) {
  return z.object({
    id: z.string(),
    user: z.string(),
    bookId: z.string(),
    recipes: z.array(z.string()),
    options: z.object({
      maxCost: z.number().nullable(),
      fresh: z.boolean(),
      serviceTier: z.literal("flex").exactOptional(),
    }),
    model: z.string().nullable(),
    status: z.enum([...LIVE_RUN_STATUSES, ...TERMINAL_RUN_STATUSES]),
    stage: z.enum(["parsing", "chapters", "merging", "finishing", "done"]),
    counts: z.object({ total: z.number(), completed: z.number(), failed: z.number() }),
    usage: z.object({
      calls: z.number(),
      inputTokens: z.number(),
      cachedTokens: z.number(),
      outputTokens: z.number(),
      cost: z.number().nullable(),
      reusedAnswers: z.number(),
    }),
    failures: z.array(failureSchema.extend({ step: z.string(), unit: z.string() })),
    error: failureSchema.nullable(),
    queuedAt: time,
    runningAt: time.nullable(),
    cancellingAt: time.nullable(),
    succeededAt: time.nullable(),
    partialAt: time.nullable(),
    failedAt: time.nullable(),
    cancelledAt: time.nullable(),
    revision: z.number(),
  });
}

/** The shape of a book, likewise. */
export function bookSchema<Time extends z.ZodType>(time: Time) {
  return z.object({
    id: z.string(),
    user: z.string(),
    status: z.enum(["stored", "parsing", "ready", "refused"]),
    sha256: z.string(),
    bytes: z.number(),
    format: z.enum(["epub", "text"]),
    fileName: z.string().nullable(),
    title: z.string().nullable(),
    authors: z.array(z.string()),
    language: z.string().nullable(),
    chapters: z.number(),
    characters: z.number(),
    warnings: z.array(z.string()),
    edition: z.number().nullable(),
    error: failureSchema.nullable(),
    createdAt: time,
    readyAt: time.nullable(),
    deletedAt: time.nullable(),
    revision: z.number(),
  });
}
