import { z } from "zod";
import { ConfigurationError, problemsOf, readJsonSetting } from "./json-setting.ts";

/** What a token costs, in nano-dollars: 250 is $0.25 per million tokens. */
export interface TokenPrice {
  readonly input: number;
  /** Input that the provider had cached. Equal to `input` where there is no discount. */
  readonly cachedInput: number;
  readonly output: number;
}

/** What a model costs at the standard service tier, and what changes that. */
export interface Price extends TokenPrice {
  /** True where a request of more than `LONG_CONTEXT` input tokens costs twice as much per input and 1.5 times per output token. */
  readonly dearerWhenLong: boolean;
  /** What each price is multiplied by at a service tier. The price at a tier that is not here is not known. */
  readonly factors: { readonly flex?: number; readonly batch?: number };
  /** The day for which the price is known, ISO 8601. Later changes are not in the table. */
  readonly date: string;
  readonly source: string;
}

/** The price of a model by its name. Null: not known, which is not free. */
export type PriceOf = (model: string) => Price | null;

export interface TokenCounts {
  readonly inputTokens: number;
  /** Part of `inputTokens`. Null: not told, and counted as none. */
  readonly cachedTokens: number | null;
  readonly outputTokens: number;
}

/** In input tokens. https://developers.openai.com/api/docs/pricing */
export const LONG_CONTEXT = 272_000;

const OPENAI = "https://developers.openai.com/api/docs/pricing";

/** Half the price, cached input too. */
const HALF = 0.5;

/** Model, input, cached input, output (nano-dollars per token), dearer when long, sold at the flex tier, date. */
type Row = readonly [string, number, number, number, boolean, boolean, string];

const OPENAI_ROWS: readonly Row[] = [
  ["gpt-6-astra", 10_000, 1000, 50_000, true, true, "2026-09-03"],
  ["gpt-6-sol", 2000, 200, 10_000, true, false, "2026-09-22"],
  ["gpt-6-luna", 100, 10, 500, true, false, "2026-09-22"],
  ["gpt-5.6-sol", 5000, 500, 30_000, true, true, "2026-07-30"],
  ["gpt-5.6-terra", 2000, 200, 12_000, true, true, "2026-07-30"],
  ["gpt-5.6-luna", 200, 20, 1200, true, true, "2026-07-30"],
  ["gpt-5.5", 5000, 500, 30_000, true, true, "2026-05-04"],
  ["gpt-5.5-pro", 30_000, 30_000, 180_000, true, false, "2026-05-04"],
  ["gpt-5.4", 2500, 250, 15_000, true, true, "2026-05-04"],
  ["gpt-5.4-mini", 750, 75, 4500, false, true, "2026-05-04"],
  ["gpt-5.4-nano", 200, 20, 1250, false, true, "2026-05-04"],
  ["gpt-5.2", 1750, 175, 14_000, false, true, "2026-04-13"],
  ["gpt-5.2-pro", 21_000, 21_000, 168_000, false, false, "2026-04-13"],
  ["gpt-5.1", 1250, 125, 10_000, false, true, "2026-04-13"],
  ["gpt-5", 1250, 125, 10_000, false, true, "2026-04-13"],
  ["gpt-5-mini", 250, 25, 2000, false, true, "2026-04-13"],
  ["gpt-5-nano", 50, 5, 400, false, true, "2025-08-07"],
  ["gpt-5-pro", 15_000, 15_000, 120_000, false, false, "2026-04-13"],
  ["gpt-4.1", 2000, 500, 8000, false, false, "2025-08-07"],
  ["gpt-4.1-mini", 400, 100, 1600, false, false, "2025-08-07"],
  ["gpt-4.1-nano", 100, 25, 400, false, false, "2025-08-07"],
  ["gpt-4o", 2500, 1250, 10_000, false, false, "2025-08-07"],
  ["gpt-4o-2024-05-13", 5000, 5000, 15_000, false, false, "2025-08-07"],
  ["gpt-4o-mini", 150, 75, 600, false, false, "2025-08-07"],
  ["o3", 2000, 500, 8000, false, true, "2025-08-07"],
  ["o4-mini", 1100, 275, 4400, false, true, "2025-08-07"],
  ["o3-mini", 1100, 550, 4400, false, false, "2025-08-07"],
];

const PRICES: ReadonlyMap<string, Price> = new Map(
  OPENAI_ROWS.map(([model, input, cachedInput, output, dearerWhenLong, isFlex, date]) => {
    const factors = isFlex ? { flex: HALF, batch: HALF } : { batch: HALF };
    return [model, { input, cachedInput, output, dearerWhenLong, factors, date, source: OPENAI }];
  }),
);

/** A snapshot's date, in the two forms that providers write: `-2025-08-07`, `-20250807`. */
const SNAPSHOT_DATE = /-20\d{2}-?(?:0[1-9]|1[0-2])-?(?:0[1-9]|[12]\d|3[01])$/;

/** Whether `answered` is `model` as it was on a day: `gpt-5-mini-2025-08-07` of `gpt-5-mini`. */
export function isSnapshotOf(model: string, answered: string): boolean {
  return answered !== model && answered.replace(SNAPSHOT_DATE, "") === model;
}

/** The price of a model, of its family for a dated snapshot without a price of its own. */
export const priceOf: PriceOf = findIn(PRICES);

function findIn(prices: ReadonlyMap<string, Price>): PriceOf {
  return (model) => prices.get(model) ?? prices.get(model.replace(SNAPSHOT_DATE, "")) ?? null;
}

/** In nano-dollars, a whole number; null when the price is not known. */
export function costOf(
  price: Price | null,
  counts: TokenCounts,
  serviceTier: string | null = null,
): number | null {
  return chargeOf(price, counts, serviceTier).cost;
}

/** What a call came to, as the ledger keeps it: nano-dollars, whole numbers. Null is not known, and never 0. */
export interface Charge {
  /** As it was applied: service tier and length are in it. */
  readonly price: TokenPrice | null;
  readonly cost: number | null;
  /** How much more it had cost without the provider's cache of prompts. */
  readonly promptCacheSaved: number | null;
  /** How much more it had cost at the standard tier. */
  readonly tierSaved: number | null;
}

/** Of a call at a service tier, by the name that the endpoint gives it; null, `default` and `auto` are the standard one. */
export function chargeOf(price: Price | null, counts: TokenCounts, serviceTier: string | null): Charge {
  const standard = price === null ? null : applied(price, counts, 1);
  const factor = price === null ? null : factorOf(price, serviceTier);
  if (price === null || standard === null || factor === null) {
    return { price: null, cost: null, promptCacheSaved: null, tierSaved: null };
  }
  const own = applied(price, counts, factor);
  const cost = sum(own, counts);
  const uncached = sum(own, { ...counts, cachedTokens: 0 });
  return {
    price: own,
    cost,
    promptCacheSaved: counts.cachedTokens === null ? null : uncached - cost,
    tierSaved: sum(standard, counts) - cost,
  };
}

function factorOf({ factors }: Price, serviceTier: string | null): number | null {
  if (serviceTier === null || serviceTier === "default" || serviceTier === "auto") return 1;
  const factor = serviceTier === "flex" || serviceTier === "batch" ? factors[serviceTier] : undefined;
  return factor ?? null;
}

function applied(price: Price, { inputTokens }: TokenCounts, factor: number): TokenPrice {
  const isLong = price.dearerWhenLong && inputTokens > LONG_CONTEXT;
  const inputFactor = isLong ? factor * 2 : factor;
  return {
    input: price.input * inputFactor,
    cachedInput: price.cachedInput * inputFactor,
    output: price.output * (isLong ? factor * 1.5 : factor),
  };
}

/** Some endpoints tell more cached tokens than there is input. They are never counted twice, so no cost is below the cached price. */
function sum(price: TokenPrice, { inputTokens, cachedTokens, outputTokens }: TokenCounts): number {
  const cached = Math.min(cachedTokens ?? 0, inputTokens);
  const input = (inputTokens - cached) * price.input + cached * price.cachedInput;
  return Math.ceil(input + outputTokens * price.output);
}

/** What calls of a model would cost without any cached input, in nano-dollars; null when its price is not known. */
export function estimateCost(
  model: string,
  tokens: { readonly inputTokens: number; readonly outputTokens: number },
): number | null {
  return costOf(priceOf(model), { ...tokens, cachedTokens: 0 });
}

/** As price lists write it. 1 is $1 for a million tokens, which is 1000 nano-dollars for one. */
const dollarsPerMillion = z
  .number()
  .nonnegative()
  .max(10_000)
  .transform((dollars) => dollars * 1000);
const factor = z.number().positive().max(1);

/** A price list as JSON: when and where the prices were read, and models by name with dollars per million tokens. */
export const priceListSchema = z
  .strictObject({
    date: z.iso.date(),
    source: z.string().min(1),
    models: z.record(
      z.string().min(1),
      z.strictObject({
        input: dollarsPerMillion,
        cached_input: dollarsPerMillion.optional(),
        output: dollarsPerMillion,
        flex_factor: factor.optional(),
        batch_factor: factor.optional(),
        dearer_when_long: z.boolean().default(false),
      }),
    ),
  })
  .transform(({ date, source, models }): ReadonlyMap<string, Price> => {
    const prices = Object.entries(models).map(([model, listed]): [string, Price] => {
      const { input, cached_input: cachedInput = input, output, dearer_when_long: dearerWhenLong } = listed;
      const { flex_factor: flex, batch_factor: batch } = listed;
      const factors = { ...(flex === undefined ? {} : { flex }), ...(batch === undefined ? {} : { batch }) };
      return [model, { input, cachedInput, output, dearerWhenLong, factors, date, source }];
    });
    return new Map(prices);
  });

/** Prices of a list, and those of another place for models that it does not name. */
export function pricesFrom(list: ReadonlyMap<string, Price>, others: PriceOf): PriceOf {
  const own = findIn(list);
  return (model) => own(model) ?? others(model);
}

/**
 * The prices of `MYTHIC_PRICES`, a JSON file's path or the JSON itself, and of the table for models that it does not name. A model
 * that it names is priced by it alone: what it does not say of a service tier is not known.
 *
 * @throws ConfigurationError with all problems at once
 */
export function readPrices(setting: string | undefined): PriceOf {
  if (setting === undefined || setting.trim() === "") return priceOf;
  const parsed = priceListSchema.safeParse(readJsonSetting("MYTHIC_PRICES", setting));
  if (!parsed.success) throw new ConfigurationError("MYTHIC_PRICES", problemsOf(parsed.error));
  return pricesFrom(parsed.data, priceOf);
}
