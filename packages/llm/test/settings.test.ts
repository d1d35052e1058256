import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { z } from "zod";
import { type AnswersConfig, answerSettings, answersConfigOf } from "../src/index.ts";

const schema = z.object(answerSettings);
const KEY = randomBytes(32).toString("base64");
const DIGEST = "ab".repeat(32);

function read(variables: Readonly<Record<string, string>>): AnswersConfig {
  return answersConfigOf(schema.parse(variables));
}

async function withFile<Value>(content: unknown, use: (path: string) => Value): Promise<Value> {
  const folder = await mkdtemp(join(tmpdir(), "mythic-settings-"));
  const path = join(folder, "upstreams.json");
  await writeFile(path, JSON.stringify(content));
  try {
    return use(path);
  } finally {
    await rm(folder, { recursive: true });
  }
}

const LOCAL = { name: "local", base_url: "http://localhost:8000/v1", models: ["llama"] };

describe("the settings of answers", () => {
  test("need nothing: no model, the store's secret, answers reused for 30 days", () => {
    expect(read({})).toEqual({
      model: null,
      upstreams: null,
      secret: null,
      encryptionKeys: [],
      reuseMs: 30 * 24 * 3_600_000,
      userLimits: { tokensPerDay: null, costPerDay: null },
      sharedBooks: new Set(),
    });
  });

  test("take one endpoint for any model, of which one answers runs", () => {
    const { model, upstreams } = read({ MYTHIC_MODEL: "gpt-5-mini", OPENAI_API_KEY: "sk-1" });
    expect(model).toBe("gpt-5-mini");
    expect(upstreams?.models).toEqual(["gpt-5-mini"]);
    const other = upstreams?.of("gpt-5");
    expect(other?.baseUrl).toBe("https://api.openai.com/v1");
    expect(other?.revealKey()).toBe("sk-1");
  });

  test("take several endpoints of a file, and no others then", async () => {
    const { model, upstreams } = await withFile([LOCAL], (path) =>
      read({ MYTHIC_UPSTREAMS: path, MYTHIC_MODEL: "llama", OPENAI_API_KEY: "sk-1" }),
    );
    expect(model).toBe("llama");
    expect(upstreams?.of("gpt-5")).toBeNull();
  });

  test("say that no endpoint of the file has the model of runs", async () => {
    await expect(
      withFile([LOCAL], (path) => read({ MYTHIC_UPSTREAMS: path, MYTHIC_MODEL: "gpt-5" })),
    ).rejects.toThrow("MYTHIC_MODEL: must be a model of an endpoint in MYTHIC_UPSTREAMS");
  });

  test("give models the prices that are set", () => {
    const list = { date: "2026-11-01", source: "a letter", models: { m: { input: 1, output: 2 } } };
    const { upstreams } = read({
      MYTHIC_MODEL: "m",
      OPENAI_BASE_URL: "http://localhost:1/v1",
      MYTHIC_PRICES: JSON.stringify(list),
    });
    expect(upstreams?.of("m")?.priceOf("m")).toMatchObject({
      input: 1_000,
      output: 2_000,
      source: "a letter",
    });
  });

  test("seal with the new key and open with the one before", () => {
    const old = randomBytes(32).toString("hex");
    expect(read({ MYTHIC_ENCRYPTION_KEY: KEY, MYTHIC_ENCRYPTION_KEY_OLD: old }).encryptionKeys).toEqual([
      KEY,
      old,
    ]);
    expect(() => read({ MYTHIC_ENCRYPTION_KEY_OLD: old })).toThrow(/needs MYTHIC_ENCRYPTION_KEY/);
  });

  test("count a user's day in tokens and in nano-dollars", () => {
    const limits = { MYTHIC_USER_TOKENS_PER_DAY: "2000000", MYTHIC_USER_DOLLARS_PER_DAY: "0.25" };
    expect(read(limits).userLimits).toEqual({ tokensPerDay: 2_000_000, costPerDay: 250_000_000 });
  });

  test("name the books that are for everyone by what is in their files", () => {
    expect(read({ MYTHIC_SHARED_BOOKS: `${DIGEST}, ${DIGEST.toUpperCase()}` }).sharedBooks).toEqual(
      new Set([DIGEST]),
    );
  });

  test.each([
    { MYTHIC_CACHE_SECRET: "too short" },
    { MYTHIC_ENCRYPTION_KEY: "not a key" },
    { MYTHIC_USER_TOKENS_PER_DAY: "1.5" },
    { MYTHIC_USER_TOKENS_PER_DAY: "-1" },
    { MYTHIC_USER_DOLLARS_PER_DAY: "$5" },
    { MYTHIC_SHARED_BOOKS: "book_1" },
    { ANSWER_REUSE_DAYS: "4000" },
    { OPENAI_BASE_URL: "ftp://example.com" },
  ])("refuse %o and do not show it", (wrong) => {
    const [value = ""] = Object.values(wrong);
    expect(() => read(wrong as Record<string, string>)).toThrow();
    expect(() => read(wrong as Record<string, string>)).not.toThrow(`"${value}"`);
  });
});
