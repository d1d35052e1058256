import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { estimateTokens } from "../../src/request/tokens.ts";
import { ConfigurationError } from "../../src/upstream/json-setting.ts";
import { chargeOf, costOf, estimateCost, priceOf, readPrices } from "../../src/upstream/prices.ts";
import { folder } from "./folder.ts";

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

test("T49 more cached tokens than input, as some endpoints report, never lower the cost below the cached price (headroom #2757)", () => {
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
  expect(performance.now() - start).toBeLessThan(5_000);
});

describe("a call is charged", () => {
  const mini = priceOf("gpt-5-mini");
  const counts = { inputTokens: 1000, cachedTokens: 400, outputTokens: 100 };
  const standard = 600 * 250 + 400 * 25 + 100 * 2000;

  test.each([null, "default", "auto"])("at the standard price at service tier %p", (tier) => {
    expect(chargeOf(mini, counts, tier)).toEqual({
      price: { input: 250, cachedInput: 25, output: 2000 },
      cost: standard,
      promptCacheSaved: 400 * 225,
      tierSaved: 0,
    });
  });

  test.each(["flex", "batch"])("half of it at service tier %s, cached input too", (tier) => {
    expect(chargeOf(mini, counts, tier)).toEqual({
      price: { input: 125, cachedInput: 12.5, output: 1000 },
      cost: standard / 2,
      promptCacheSaved: (400 * 225) / 2,
      tierSaved: standard / 2,
    });
  });

  test.each(["priority", "fast", "toString", ""])("an unknown amount at service tier %p", (tier) => {
    const unknown = { price: null, cost: null, promptCacheSaved: null, tierSaved: null };
    expect(chargeOf(mini, counts, tier)).toEqual(unknown);
    expect(chargeOf(null, counts, null)).toEqual(unknown);
  });

  test("an unknown amount at the flex tier for a model that is not sold there", () => {
    expect(costOf(priceOf("gpt-4.1"), counts, "flex")).toBeNull();
    expect(costOf(priceOf("gpt-4.1"), counts, "batch")).toBe((600 * 2000 + 400 * 500 + 100 * 8000) / 2);
  });

  test("T10 in full for input of which the endpoint tells no cached part, which is not the same as none (LiteLLM #36882)", () => {
    const untold = chargeOf(mini, { ...counts, cachedTokens: null }, null);
    const none = chargeOf(mini, { ...counts, cachedTokens: 0 }, null);
    expect(untold.cost).toBe(none.cost);
    expect(untold.promptCacheSaved).toBeNull();
    expect(none.promptCacheSaved).toBe(0);
  });

  test("for a long context at the price of its length and its tier", () => {
    const long = { inputTokens: 300_000, cachedTokens: 100_000, outputTokens: 1000 };
    expect(chargeOf(priceOf("gpt-5.4"), long, "flex")).toEqual({
      price: { input: 2500, cachedInput: 250, output: 11_250 },
      cost: 200_000 * 2500 + 100_000 * 250 + 1000 * 11_250,
      promptCacheSaved: 100_000 * 2250,
      tierSaved: 200_000 * 2500 + 100_000 * 250 + 1000 * 11_250,
    });
  });

  test("whole nano-dollars, also at a price of a part of one", () => {
    const prices = readPrices(listOf({ "own-model": { input: 0.0028, output: 0.1234 } }));
    expect(costOf(prices("own-model"), { inputTokens: 1, cachedTokens: 0, outputTokens: 1 })).toBe(127);
  });
});

function listOf(models: unknown): string {
  return JSON.stringify({ date: "2026-11-01", source: "contract of 1 November", models });
}

describe("MYTHIC_PRICES", () => {
  const models = {
    "gpt-5-mini": { input: 0.2, cached_input: 0.02, output: 1.5, flex_factor: 0.6 },
    "own-model": { input: 0, output: 0 },
  };

  test("is not needed", () => {
    expect(readPrices(undefined)("gpt-5-mini")).toBe(priceOf("gpt-5-mini"));
    expect(readPrices(" ")).toBe(priceOf);
  });

  test("as JSON replaces the prices of the models that it names, snapshots too, and no others", () => {
    const prices = readPrices(listOf(models));
    expect(prices("gpt-5-mini")).toEqual({
      input: 200,
      cachedInput: 20,
      output: 1500,
      dearerWhenLong: false,
      factors: { flex: 0.6 },
      date: "2026-11-01",
      source: "contract of 1 November",
    });
    expect(prices("gpt-5-mini-2025-08-07")).toEqual(prices("gpt-5-mini"));
    expect(prices("gpt-5")).toBe(priceOf("gpt-5"));
    expect(prices("unheard-of")).toBeNull();
  });

  test("may say that a model costs nothing, which is known and not unknown", () => {
    const price = readPrices(listOf(models))("own-model");
    expect(costOf(price, { inputTokens: 10, cachedTokens: 0, outputTokens: 10 })).toBe(0);
    expect(costOf(price, { inputTokens: 10, cachedTokens: 0, outputTokens: 10 }, "batch")).toBeNull();
  });

  test("without a price for cached input has it at full price", () => {
    expect(readPrices(listOf({ m: { input: 3, output: 4 } }))("m")).toMatchObject({ cachedInput: 3000 });
  });

  test("may be the path of a file", async () => {
    await using place = await folder();
    const path = join(place.path, "prices.json");
    await writeFile(path, listOf(models));
    expect(readPrices(path)("gpt-5-mini")?.input).toBe(200);
  });

  test("that cannot be used says everything that is wrong at once", () => {
    const wrong = JSON.stringify({
      date: "1 November",
      models: { m: { input: -1, output: "4", cached: 1 }, n: { input: 1, output: 1, flex_factor: 0 } },
    });
    const problems = problemsOf(() => readPrices(wrong));
    expect(problems.map((problem) => problem.split(":")[0])).toEqual(
      expect.arrayContaining(["date", "source", "models.m.input", "models.m.output", "models.n.flex_factor"]),
    );
    expect(problems).toContain("models.m: cached is not known");
    expect(problemsOf(() => readPrices('{"date": '))).toEqual(["is not JSON"]);
    expect(problemsOf(() => readPrices("/there/is/no/such/file.json"))).toEqual(["the file cannot be read"]);
  });
});

function problemsOf(read: () => unknown): readonly string[] {
  try {
    read();
  } catch (error) {
    if (error instanceof ConfigurationError) return error.problems;
    throw error;
  }
  throw new Error("It can be used.");
}
