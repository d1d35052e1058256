import type { Amount, DailyUsage, DayRange, Usage } from "@mythic/runs";
import { z } from "zod";

export const daySchema = z.iso.date().meta({ description: "A day in UTC: `2026-11-20`." });

const amountFields = {
  calls: z.int(),
  tokens: z.int(),
  cost: z.int().meta({ description: "In nano-dollars, of the calls whose price is known." }),
  unpriced_calls: z.int().meta({ description: "Calls whose price is not known." }),
};
const amountSchema = z.object(amountFields).meta({ id: "Amount" });

const usageFields = {
  spent: z
    .object({ ...amountFields, input_tokens: z.int(), cached_tokens: z.int(), output_tokens: z.int() })
    .meta({ description: "All calls that were sent; those whose end is not known count at their most." }),
  saved: z
    .object({
      cache_hit: amountSchema.meta({ description: "Answers that were there." }),
      coalesced: amountSchema.meta({ description: "Answers that were on their way for someone else." }),
      provider_prompt_cache: amountSchema.meta({ description: "Input that the provider had cached." }),
      service_tier: amountSchema.meta({ description: "Calls at the price of a cheaper service tier." }),
    })
    .meta({ description: "What it would have cost more, by cause." }),
  wasted: z
    .object({
      unusable: amountSchema.meta({ description: "Paid for, and the answer was of no use." }),
      paid_twice: amountSchema.meta({ description: "The same was on its way already." }),
      unknown: amountSchema.meta({ description: "Nobody knows whether they were paid for." }),
    })
    .meta({ description: "Part of what was spent." }),
};
const usageSchema = z.object(usageFields).meta({ id: "Usage" });

export const usageReportSchema = z
  .object({
    user: z.string().nullable().meta({ description: "Whose; null: everyone's." }),
    from: daySchema,
    to: daySchema,
    total: usageSchema,
    days: z
      .array(z.object({ day: daySchema, model: z.string(), ...usageFields }))
      .meta({ description: "By day and model." }),
  })
  .meta({ id: "UsageReport" });

export function wireUsageReport(
  user: string | null,
  { from, to }: DayRange,
  { total, days }: { readonly total: Usage; readonly days: readonly DailyUsage[] },
): z.infer<typeof usageReportSchema> {
  return {
    user,
    from,
    to,
    total: wireUsage(total),
    days: days.map(({ day, model, ...usage }) => ({ day, model, ...wireUsage(usage) })),
  };
}

function wireUsage({ spent, saved, wasted }: Usage): z.infer<typeof usageSchema> {
  const { inputTokens, cachedTokens, outputTokens } = spent;
  return {
    spent: {
      ...wireAmount(spent),
      input_tokens: inputTokens,
      cached_tokens: cachedTokens,
      output_tokens: outputTokens,
    },
    saved: {
      cache_hit: wireAmount(saved.hit),
      coalesced: wireAmount(saved.coalesced),
      provider_prompt_cache: wireAmount(saved.promptCache),
      service_tier: wireAmount(saved.tier),
    },
    wasted: {
      unusable: wireAmount(wasted.unusable),
      paid_twice: wireAmount(wasted.twice),
      unknown: wireAmount(wasted.unknown),
    },
  };
}

function wireAmount({ calls, tokens, cost, unpriced }: Amount): z.infer<typeof amountSchema> {
  return { calls, tokens, cost, unpriced_calls: unpriced };
}
