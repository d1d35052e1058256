import type { RunView } from "@mythic/runs/cache";
import { z } from "zod";
import { failureSchema, timeSchema } from "./shared.ts";

export const methodSchema = z.enum(["model", "offline"]).meta({
  description:
    "`offline`: no model is configured, so key passages are chosen instead of a summary being written.",
});

const nanoDollars = z.int().meta({ description: "In nano-dollars." });

const serviceTier = z.enum(["flex"]).nullable().meta({
  description: "`flex`: calls at a lower price that may take minutes, where the provider offers it.",
});

export const runSchema = z
  .object({
    id: z.string().meta({ example: "run_01kazr31f8gtqk2m7hp5b6n8x9" }),
    book_id: z.string(),
    recipes: z.array(z.string()),
    options: z.object({
      max_cost: nanoDollars.nullable().meta({ description: "Hard stop for what is spent, in nano-dollars." }),
      fresh: z.boolean().meta({ description: "Ask anew although an answer was paid for before." }),
      service_tier: serviceTier,
    }),
    method: methodSchema,
    model: z.string().nullable(),
    status: z
      .enum(["queued", "running", "cancelling", "succeeded", "partial", "failed", "cancelled"])
      .meta({ description: "More may come; take one that you do not know for a live one." }),
    stage: z.enum(["parsing", "chapters", "merging", "finishing", "done"]),
    counts: z.object({ total: z.int(), completed: z.int(), failed: z.int() }),
    usage: z.object({
      calls: z.int(),
      input_tokens: z.int(),
      cached_tokens: z
        .int()
        .meta({ description: "The part of `input_tokens` that the provider had cached." }),
      output_tokens: z.int(),
      cost: nanoDollars.nullable().meta({ description: "In nano-dollars; null when a price is not known." }),
      reused_answers: z.int().meta({ description: "Answers that were paid for before." }),
    }),
    failures: z
      .array(z.object({ step: z.string(), unit: z.string(), code: z.string(), detail: z.string() }))
      .meta({ description: "What is missing from the result, and why." }),
    error: failureSchema.nullable().meta({ description: "Why the whole run failed." }),
    queued_at: timeSchema,
    running_at: timeSchema.nullable(),
    cancelling_at: timeSchema.nullable(),
    succeeded_at: timeSchema.nullable(),
    partial_at: timeSchema.nullable(),
    failed_at: timeSchema.nullable(),
    cancelled_at: timeSchema.nullable(),
    revision: z.int().meta({ description: "Rises by one with every change." }),
    links: z.object({
      self: z.string(),
      status: z.string(),
      result: z.string(),
      cancel: z.string(),
      retry: z.string(),
      book: z.string(),
    }),
  })
  .meta({ id: "Run" });

export function methodOf(run: Pick<RunView, "model">): z.infer<typeof methodSchema> {
  return run.model === null ? "offline" : "model";
}

export function wireRun(run: RunView): z.infer<typeof runSchema> {
  const self = `/runs/${run.id}`;
  return {
    id: run.id,
    book_id: run.bookId,
    recipes: [...run.recipes],
    options: {
      max_cost: run.options.maxCost,
      fresh: run.options.fresh,
      service_tier: run.options.serviceTier ?? null,
    },
    method: methodOf(run),
    model: run.model,
    status: run.status,
    stage: run.stage,
    counts: { total: run.counts.total, completed: run.counts.completed, failed: run.counts.failed },
    usage: {
      calls: run.usage.calls,
      input_tokens: run.usage.inputTokens,
      cached_tokens: run.usage.cachedTokens,
      output_tokens: run.usage.outputTokens,
      cost: run.usage.cost,
      reused_answers: run.usage.reusedAnswers,
    },
    failures: run.failures.map(({ step, unit, code, detail }) => ({ step, unit, code, detail })),
    error: run.error && { code: run.error.code, detail: run.error.detail },
    queued_at: run.queuedAt,
    running_at: run.runningAt,
    cancelling_at: run.cancellingAt,
    succeeded_at: run.succeededAt,
    partial_at: run.partialAt,
    failed_at: run.failedAt,
    cancelled_at: run.cancelledAt,
    revision: run.revision,
    links: {
      self,
      status: `/status/${run.id}`,
      result: `${self}/result`,
      cancel: `${self}/cancel`,
      retry: `${self}/retry`,
      book: `/books/${run.bookId}`,
    },
  };
}

const optionsSchema = z.strictObject({
  max_cost: z
    .int("A whole number of nano-dollars is needed.")
    .min(0, "It cannot be below 0.")
    .nullable()
    .default(null)
    .meta({ description: "Hard stop for what is spent, in nano-dollars." }),
  fresh: z.boolean().default(false).meta({ description: "Ask anew although an answer was paid for before." }),
  service_tier: serviceTier.default(null),
});

/** What a run is to do, but for its book. */
export const wantedSchema = z.strictObject({
  recipes: z
    .array(z.string().min(1).max(100))
    .min(1, "At least one recipe is needed.")
    .max(20)
    .refine((names) => new Set(names).size === names.length, "Each recipe can be named once.")
    .default(["summary"]),
  options: optionsSchema.default({ max_cost: null, fresh: false, service_tier: null }),
  dry_run: z
    .boolean()
    .default(false)
    .meta({ description: "Answer what the run would take, and start nothing." }),
});
export type Wanted = z.infer<typeof wantedSchema>;

export const newRunSchema = wantedSchema.extend({ book_id: z.string() }).meta({ id: "NewRun" });

export const estimateSchema = z
  .object({
    chapters: z.int(),
    steps: z.int(),
    calls: z.int().meta({ description: "Calls to the model when none has to be repeated." }),
    estimated_input_tokens: z.object({ low: z.int(), high: z.int() }),
    estimated_output_tokens: z.object({ low: z.int(), high: z.int() }),
    cost: z
      .object({ low: nanoDollars, high: nanoDollars })
      .nullable()
      .meta({ description: "In nano-dollars; null when the model's price is not known." }),
    method: methodSchema,
    model: z.string().nullable(),
  })
  .meta({ id: "Estimate" });
