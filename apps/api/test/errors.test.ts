import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "@jest/globals";
import { BOOK_ERROR_CODES, BOOK_WARNING_CODES } from "@mythic/books";
import { MODEL_ERROR_CODES } from "@mythic/llm";
import type { RecipeErrorCode } from "@mythic/recipes";
import { ERRORS } from "../src/errors.ts";
import { ROUTES } from "../src/routes/index.ts";

const ROOT = join(import.meta.dirname, "../../..");
const RECIPE_CODES: Record<RecipeErrorCode, true> = {
  no_verified_points: true,
  invalid_summary: true,
  unknown_value: true,
};

/** Where codes of steps, books and runs are written down as they are made. */
const SOURCES = ["apps/worker/src", "packages/runs/src"];

async function codesInSources(): Promise<ReadonlySet<string>> {
  const codes = new Set<string>();
  for (const folder of SOURCES) {
    for (const name of await readdir(join(ROOT, folder), { recursive: true })) {
      // A program that is too old for its store does not start, so no client ever hears of it.
      if (!name.endsWith(".ts") || name.endsWith("store-version-error.ts")) continue;
      const text = await readFile(join(ROOT, folder, name), "utf8");
      for (const [, code = ""] of text.matchAll(/(?:StepError\(\s*|\bcode[:=] ?)"([a-z_]+)"/g))
        codes.add(code);
      for (const [, code = ""] of text.matchAll(/\bcode = "([a-z_]+)"/g)) codes.add(code);
    }
  }
  return codes;
}

describe("docs/errors.md", () => {
  let sections: readonly (readonly string[][])[];
  beforeAll(async () => {
    const text = await readFile(join(ROOT, "docs/errors.md"), "utf8");
    sections = text.split(/^## /m).map((section) =>
      section
        .split("\n")
        .filter((line) => line.startsWith("| `"))
        .map((line) =>
          line
            .split("|")
            .map((cell) => cell.trim().replace(/^`(.*)`$/, "$1"))
            .slice(1, -1),
        ),
    );
  });

  test("its table of the API's answers is the program's table", () => {
    const documented = sections[1]?.map(([code, status, title]) => [code, { status: Number(status), title }]);
    const programmed = Object.entries(ERRORS).map(([code, { status, title }]) => [code, { status, title }]);
    expect(documented).toEqual(programmed);
  });

  test("it says what to do about each", () => {
    for (const row of sections[1] ?? []) expect(row[3]?.length).toBeGreaterThan(5);
  });

  test("its table of reasons has those of books, models, recipes and steps, and no others", async () => {
    const made = new Set([
      ...BOOK_ERROR_CODES,
      ...MODEL_ERROR_CODES,
      ...Object.keys(RECIPE_CODES),
      ...(await codesInSources()),
    ]);
    expect(made.has("step_crashed") && made.has("parsing_crashed")).toBe(true);
    expect(sections[2]?.map(([code]) => code).sort()).toEqual([...made].sort());
  });

  test("its table of warnings is that of the reader", () => {
    expect(sections[3]?.map(([code]) => code)).toEqual([...BOOK_WARNING_CODES]);
  });

  test("no code is named twice in a table", () => {
    for (const section of sections) {
      const codes = section.map(([code]) => code);
      expect(new Set(codes).size).toBe(codes.length);
    }
  });
});

test("routes name each of their errors once", () => {
  for (const route of ROUTES) expect(new Set(route.errors).size).toBe(route.errors.length);
});
