import { z } from "zod";

/**
 * What the command line reads of the API's answers. Fields it does not know are left out, states it does not know count as
 * live, so that an older program can talk to a newer server.
 */
const failure = z.object({ code: z.string(), detail: z.string() });

export const bookSchema = z.object({
  id: z.string(),
  status: z.string(),
  sha256: z.string(),
  file_name: z.string().nullable(),
  title: z.string().nullable(),
  authors: z.array(z.string()),
  chapter_count: z.number(),
  error: failure.nullable(),
  created_at: z.string(),
});
export type WireBook = z.infer<typeof bookSchema>;

export const runSchema = z.object({
  id: z.string(),
  book_id: z.string(),
  recipes: z.array(z.string()),
  options: z.object({
    max_cost: z.number().nullable(),
    fresh: z.boolean(),
    service_tier: z.string().nullish(),
  }),
  method: z.string(),
  model: z.string().nullable(),
  status: z.string(),
  stage: z.string(),
  counts: z.object({ total: z.number(), completed: z.number(), failed: z.number() }),
  usage: z.object({
    calls: z.number(),
    input_tokens: z.number(),
    output_tokens: z.number(),
    cost: z.number().nullable(),
    reused_answers: z.number(),
  }),
  failures: z.array(z.object({ unit: z.string(), code: z.string(), detail: z.string() })),
  error: failure.nullable(),
  queued_at: z.string(),
});
export type WireRun = z.infer<typeof runSchema>;

/** Loose: what recipes make of a chapter is for those who read the result. */
export const resultSchema = z.looseObject({
  run_id: z.string(),
  recipes: z.record(
    z.string(),
    z.looseObject({ chapters: z.array(z.unknown()), next: z.string().nullable() }),
  ),
});
export type WireResult = z.infer<typeof resultSchema>;

export interface WirePage<Item> {
  readonly data: readonly Item[];
  readonly has_more: boolean;
  readonly next: string | null;
}

export function pageOf<Item>(item: z.ZodType<Item>): z.ZodType<WirePage<Item>> {
  return z.object({ data: z.array(item), has_more: z.boolean(), next: z.string().nullable() });
}

export const problemSchema = z.object({
  title: z.string().optional(),
  detail: z.string().optional(),
  code: z.string().optional(),
});

const ENDED = ["succeeded", "partial", "failed", "cancelled"];

/** True once nothing more happens to the run by itself. */
export function hasEnded(run: WireRun): boolean {
  return ENDED.includes(run.status);
}

export const explanationSchema = z.object({
  cause: z.string(),
  sentence: z.string(),
  differences: z.array(z.object({ field: z.string(), how: z.string() })),
});
export type WireExplanation = z.infer<typeof explanationSchema>;

export const erasedSchema = z.object({ erased: z.int() });

const amountSchema = z.object({
  calls: z.int(),
  tokens: z.int(),
  cost: z.number(),
  unpriced_calls: z.int(),
});
export type WireAmount = z.infer<typeof amountSchema>;

/** Sums by cause; a newer server may know more causes. */
export const usageSchema = z.object({
  user: z.string().nullable(),
  from: z.string(),
  to: z.string(),
  total: z.object({
    spent: amountSchema,
    saved: z.record(z.string(), amountSchema),
    wasted: z.record(z.string(), amountSchema),
  }),
});
export type WireUsage = z.infer<typeof usageSchema>;
