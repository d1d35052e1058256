/** What a model costs, in nano-dollars per token: 250 is $0.25 per million tokens. */
export interface Price {
  readonly input: number;
  /** Input that the provider had cached. Equal to `input` where there is no discount. */
  readonly cachedInput: number;
  readonly output: number;
  /** True where a request of more than `LONG_CONTEXT` input tokens costs twice as much per input and 1.5 times per output token. */
  readonly dearerWhenLong: boolean;
  /** The day for which the price is known, ISO 8601. Later changes are not in the table. */
  readonly date: string;
  readonly source: string;
}

export interface TokenCounts {
  readonly inputTokens: number;
  /** Part of `inputTokens`. */
  readonly cachedTokens: number;
  readonly outputTokens: number;
}

/** In input tokens. https://developers.openai.com/api/docs/pricing */
export const LONG_CONTEXT = 272_000;

const OPENAI = "https://developers.openai.com/api/docs/pricing";

/** Model, input, cached input, output (nano-dollars per token), dearer when long, date. Standard tier, no batch. */
type Row = readonly [string, number, number, number, boolean, string];

const OPENAI_ROWS: readonly Row[] = [
  ["gpt-6-astra", 10_000, 1000, 50_000, true, "2026-09-03"],
  ["gpt-6-sol", 2000, 200, 10_000, true, "2026-09-22"],
  ["gpt-6-luna", 100, 10, 500, true, "2026-09-22"],
  ["gpt-5.6-sol", 5000, 500, 30_000, true, "2026-07-30"],
  ["gpt-5.6-terra", 2000, 200, 12_000, true, "2026-07-30"],
  ["gpt-5.6-luna", 200, 20, 1200, true, "2026-07-30"],
  ["gpt-5.5", 5000, 500, 30_000, true, "2026-05-04"],
  ["gpt-5.5-pro", 30_000, 30_000, 180_000, true, "2026-05-04"],
  ["gpt-5.4", 2500, 250, 15_000, true, "2026-05-04"],
  ["gpt-5.4-mini", 750, 75, 4500, false, "2026-05-04"],
  ["gpt-5.4-nano", 200, 20, 1250, false, "2026-05-04"],
  ["gpt-5.2", 1750, 175, 14_000, false, "2026-04-13"],
  ["gpt-5.2-pro", 21_000, 21_000, 168_000, false, "2026-04-13"],
  ["gpt-5.1", 1250, 125, 10_000, false, "2026-04-13"],
  ["gpt-5", 1250, 125, 10_000, false, "2026-04-13"],
  ["gpt-5-mini", 250, 25, 2000, false, "2026-04-13"],
  ["gpt-5-nano", 50, 5, 400, false, "2025-08-07"],
  ["gpt-5-pro", 15_000, 15_000, 120_000, false, "2026-04-13"],
  ["gpt-4.1", 2000, 500, 8000, false, "2025-08-07"],
  ["gpt-4.1-mini", 400, 100, 1600, false, "2025-08-07"],
  ["gpt-4.1-nano", 100, 25, 400, false, "2025-08-07"],
  ["gpt-4o", 2500, 1250, 10_000, false, "2025-08-07"],
  ["gpt-4o-2024-05-13", 5000, 5000, 15_000, false, "2025-08-07"],
  ["gpt-4o-mini", 150, 75, 600, false, "2025-08-07"],
  ["o3", 2000, 500, 8000, false, "2025-08-07"],
  ["o4-mini", 1100, 275, 4400, false, "2025-08-07"],
  ["o3-mini", 1100, 550, 4400, false, "2025-08-07"],
];

const PRICES: ReadonlyMap<string, Price> = new Map(
  OPENAI_ROWS.map(([model, input, cachedInput, output, dearerWhenLong, date]) => [
    model,
    { input, cachedInput, output, dearerWhenLong, date, source: OPENAI },
  ]),
);

/** A snapshot's date, in the two forms that providers write: `-2025-08-07`, `-20250807`. */
const SNAPSHOT_DATE = /-20\d{2}-?(?:0[1-9]|1[0-2])-?(?:0[1-9]|[12]\d|3[01])$/;

/** The price of a model, of its family for a dated snapshot without a price of its own. Null: not known, which is not free. */
export function priceOf(model: string): Price | null {
  return PRICES.get(model) ?? PRICES.get(model.replace(SNAPSHOT_DATE, "")) ?? null;
}

/** In nano-dollars, a whole number; null when the price is not known. */
export function costOf(price: Price | null, counts: TokenCounts): number | null {
  if (price === null) return null;
  const cached = Math.min(counts.cachedTokens, counts.inputTokens);
  const input = (counts.inputTokens - cached) * price.input + cached * price.cachedInput;
  const output = counts.outputTokens * price.output;
  return price.dearerWhenLong && counts.inputTokens > LONG_CONTEXT
    ? input * 2 + Math.ceil(output * 1.5)
    : input + output;
}

/** What calls of a model would cost without any cached input, in nano-dollars; null when its price is not known. */
export function estimateCost(
  model: string,
  tokens: { readonly inputTokens: number; readonly outputTokens: number },
): number | null {
  return costOf(priceOf(model), { ...tokens, cachedTokens: 0 });
}
