import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";

const ROOT = join(import.meta.dirname, "../../..");

/** Names of the last column of "What happens if …". */
function namedTests(): string[] {
  const page = readFileSync(join(ROOT, "docs/operations.md"), "utf8");
  const table = page.split("## ").find((section) => section.startsWith("What happens if")) ?? "";
  const rows = table.split("\n").filter((line) => line.startsWith("|"));
  return rows.slice(2).map((row) => row.split("|").at(-2)?.trim() ?? "");
}

const sources = globSync("{apps,packages}/*/test/**/*.ts", { cwd: ROOT })
  .map((path) => readFileSync(join(ROOT, path), "utf8"))
  .join("\n");

describe("the operators' page", () => {
  test.each(namedTests().map((name) => [name]))("names a test that is there: %s", (name) => {
    expect(name).not.toBe("");
    // The end of a title: a table of cases may begin it with a placeholder.
    expect(sources).toContain(`${name}"`);
  });

  test("has a test in every row", () => {
    expect(namedTests().length).toBeGreaterThan(20);
  });
});
