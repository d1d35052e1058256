import { expect, test } from "@jest/globals";
import { costOf, estimateCost, priceOf } from "../src/prices.ts";
import { estimateTokens } from "../src/tokens.ts";

test("a dated snapshot costs what its family costs, unless it has a price of its own", () => {
  expect(priceOf("gpt-5-mini-2025-08-07")).toBe(priceOf("gpt-5-mini"));
  expect(priceOf("gpt-5-mini-20250807")).toBe(priceOf("gpt-5-mini"));
  expect(priceOf("gpt-4o-2024-05-13")).not.toEqual(priceOf("gpt-4o"));
});

test.each(["llama-3.3-70b", "gpt-5-mini-turbo", "gpt-5-mini-2025-99-99", "", "toString"])(
  "the price of %p is not known, which is not nothing",
  (model) => {
    expect(priceOf(model)).toBeNull();
    expect(estimateCost(model, { inputTokens: 1, outputTokens: 1 })).toBeNull();
  },
);

test("cached input counts at its own price and only once", () => {
  // $0.25, $0.025 and $2 per million tokens.
  const counts = { inputTokens: 1000, cachedTokens: 400, outputTokens: 100 };
  expect(costOf(priceOf("gpt-5-mini"), counts)).toBe(600 * 250 + 400 * 25 + 100 * 2000);
  expect(estimateCost("gpt-5-mini", { inputTokens: 1_000_000, outputTokens: 1_000_000 })).toBe(2_250_000_000);
});

test("more cached tokens than input, as some endpoints report, never lower the cost below the cached price", () => {
  const counts = { inputTokens: 10, cachedTokens: 1000, outputTokens: 0 };
  expect(costOf(priceOf("gpt-5-mini"), counts)).toBe(250);
});

test("a long context is dearer as a whole", () => {
  expect(estimateCost("gpt-5.4", { inputTokens: 272_000, outputTokens: 10 })).toBe(
    272_000 * 2500 + 10 * 15_000,
  );
  expect(estimateCost("gpt-5.4", { inputTokens: 272_001, outputTokens: 10 })).toBe(
    272_001 * 5000 + 10 * 22_500,
  );
});

test("every price has a day and a source", () => {
  for (const model of ["gpt-6-sol", "gpt-5-mini", "gpt-4.1", "o3"]) {
    expect(priceOf(model)?.date).toMatch(/^20\d\d-\d\d-\d\d$/);
    expect(priceOf(model)?.source).toMatch(/^https:/);
  }
});

test("tokens are a quarter of Latin letters, half of other letters and all of Chinese, Japanese and Korean", () => {
  expect(estimateTokens("")).toBe(0);
  expect(estimateTokens("lamp".repeat(100))).toBe(100);
  expect(estimateTokens("маяк".repeat(100))).toBe(200);
  expect(estimateTokens("灯台守".repeat(100))).toBe(300);
  expect(estimateTokens("등대".repeat(100))).toBe(200);
  expect(estimateTokens("🗼")).toBe(2);
});

test("a text of one letter ten million times is estimated at once", () => {
  const start = performance.now();
  expect(estimateTokens("a".repeat(10_000_000))).toBe(2_500_000);
  expect(performance.now() - start).toBeLessThan(1000);
});
