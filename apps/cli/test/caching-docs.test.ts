import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { POLICIES } from "@mythic/api/policies";

const DOCS = join(import.meta.dirname, "../../../docs");
const PAGE = readFileSync(join(DOCS, "caching.md"), "utf8");

/** Cells of the table under a heading, without its head. */
function tableOf(heading: string): readonly (readonly string[])[] {
  const section = PAGE.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? "";
  const rows = section.split("\n").filter((line) => line.startsWith("|"));
  return rows.slice(2).map((row) =>
    row
      .slice(1, -1)
      .split("|")
      .map((cell) => cell.trim()),
  );
}

const TIMES: Readonly<Record<string, number>> = { s: 1_000, min: 60_000, h: 3_600_000 };

/** The first length of time in a cell, such as `30 min`; 0 for `never`. */
function milliseconds(cell = ""): number {
  const [, count = "0", unit = "s"] = /(\d+) ?(s|min|h)\b/.exec(cell) ?? [];
  return Number(count) * (TIMES[unit] ?? Number.NaN);
}

const inner = (cell = "") => cell.replaceAll("`", "");

const linked = Array.from(
  PAGE.matchAll(/\[((?:[^\]\\]|\\.)+)\]\((\.\.\/[^)]+)\)/g),
  ([, title = "", path = ""]) => [title.replaceAll(/\\(.)/g, "$1"), path] as const,
);
const tests = linked.filter(([, path]) => path.includes("/test/"));

interface Family {
  readonly name: string;
  readonly scope: string;
  readonly ttlMs: number;
  readonly graceMs: number;
}

/** The table is no part of what the package offers, so it is read where it stands. */
async function readFamilies(): Promise<readonly Family[]> {
  const path = join(DOCS, "../packages/runs/src/cache-families.ts");
  const { cacheFamilies } = (await import(path)) as {
    cacheFamilies(options: { readonly answersTtlMs: number }): Readonly<Record<string, Family>>;
  };
  return Object.values(cacheFamilies({ answersTtlMs: 3_600_000 }));
}

describe("the page on caching", () => {
  test("has the families that there are, with their scopes and times", async () => {
    const families = await readFamilies();
    const documented = tableOf("What is cached").map(([name, , scope, ttl, past]) => {
      return { name: inner(name), scope, ttlMs: milliseconds(ttl), graceMs: milliseconds(past) };
    });
    expect(documented).toEqual(
      families.map(({ name, scope, ttlMs, graceMs }) => ({ name, scope, ttlMs, graceMs })),
    );
  });

  test("has the limits that there are", () => {
    const units: Readonly<Record<number, string>> = { 60000: "min", 3600000: "h" };
    const limits = Object.entries(POLICIES).map(([name, policy]) => [
      name,
      policy && `${policy.limit}/${units[policy.periodMs]}`,
    ]);
    expect(tableOf("Limits").map(([name, , limit]) => [inner(name), limit])).toEqual(limits);
  });

  test.each(tests)("names a test that is there: %s", (title, path) => {
    // The end of a title: a table of cases may begin it with a placeholder.
    const hasIt = readFileSync(join(DOCS, path), "utf8").includes(`${title}"`);
    expect([title, path, hasIt]).toEqual([title, path, true]);
  });

  test.each(["What is cached", "Every key in Redis", "How wrong it can be, and for how long"])(
    "shows each line of its table by a test: %s",
    (heading) => {
      const rows = tableOf(heading);
      expect(rows.length).toBeGreaterThan(5);
      for (const row of rows) expect(row.at(-1)).toContain("/test/");
    },
  );

  test("leads to files that are there", () => {
    for (const [, path] of linked) expect([path, existsSync(join(DOCS, path))]).toEqual([path, true]);
  });
});
