import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { readUpstreams } from "@mythic/llm";

const ROOT = join(import.meta.dirname, "../../..");
const PAGE = readFileSync(join(ROOT, "docs/answers.md"), "utf8");

const linked = Array.from(
  PAGE.matchAll(/\[((?:[^\]\\]|\\.)+)\]\((\.\.\/[^)]+)\)/g),
  ([, title = "", path = ""]) => [title.replaceAll(/\\(.)/g, "$1"), path] as const,
);

/** Rows of the table under a heading, without its head. */
function tableOf(heading: string): readonly string[] {
  const section = PAGE.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? "";
  return section
    .split("\n")
    .filter((line) => line.startsWith("|"))
    .slice(2);
}

describe("the page on answers", () => {
  test.each(linked.filter(([, path]) => path.includes("/test/")))(
    "names a test that is there: %s",
    (title, path) => {
      const text = readFileSync(join(ROOT, "docs", path), "utf8");
      // A table of cases may begin a title with a placeholder, and the threads stand at its end.
      const hasIt = [`${title}"`, `${title} [T`, `${title} $`].some((end) => text.includes(end));
      expect([title, path, hasIt]).toEqual([title, path, true]);
    },
  );

  test("leads to files that are there", () => {
    for (const [, path] of linked) expect([path, existsSync(join(ROOT, "docs", path))]).toEqual([path, true]);
  });

  test("has a test in every row of what can go wrong", () => {
    const rows = [...tableOf("What happens if …"), ...tableOf("Threads")];
    for (const row of rows) expect(row).toContain("/test/");
    expect(tableOf("What happens if …").length).toBeGreaterThan(15);
  });

  test("has all 49 threads", () => {
    const ids = tableOf("Threads").map((row) => row.split("|")[1]?.trim());
    expect(ids).toEqual(Array.from({ length: 49 }, (_, at) => `T${at + 1}`));
  });

  test("has an example of several endpoints that can be used as it is", () => {
    const [, json = ""] = /^```json\n(.*?)^```$/ms.exec(PAGE) ?? [];
    const folder = mkdtempSync(join(tmpdir(), "mythic-docs-"));
    try {
      writeFileSync(join(folder, "upstreams.json"), json);
      writeFileSync(join(folder, "openai.key"), "sk-1\n");
      const upstreams = readUpstreams(join(folder, "upstreams.json"));
      expect(upstreams.models).toEqual(["gpt-5-mini", "gpt-5"]);
      expect(upstreams.of("our-model")?.priceOf("our-model")).toMatchObject({ input: 100 });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("names every header that the endpoint sets or reads", () => {
    const sources = globSync("{apps/api/src/openai,packages/llm/src/answers}/*.ts", { cwd: ROOT });
    const code = sources.map((path) => readFileSync(join(ROOT, path), "utf8")).join("\n");
    const headers = new Set(code.match(/x-mythic-[a-z-]+/g));
    expect(headers.size).toBeGreaterThan(6);
    for (const header of headers) expect(PAGE).toContain(`\`${header}\``);
  });
});
