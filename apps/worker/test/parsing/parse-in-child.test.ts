import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import type { Chapter } from "@mythic/runs";
import { type ParseTask, parseInChild } from "../../src/parsing/parse-in-child.ts";

let directory: string;
let novel: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "mythic-parsing-"));
  novel = join(directory, "novel");
  const sentence = "The keeper climbed the stairs and lit the lamp before the fog came in. ";
  const chapters = [1, 2, 3].map((number) => `CHAPTER ${number}\n\n${sentence.repeat(30)}\n`);
  await writeFile(novel, chapters.join("\n\n"));
});
afterAll(() => rm(directory, { recursive: true }));

/** Parses the novel; what is given replaces parts of the task. */
async function parse(task: Partial<ParseTask> = {}) {
  const chapters: Chapter[] = [];
  const parsing = await parseInChild({
    file: novel,
    format: "text",
    bytes: 7_000,
    signal: new AbortController().signal,
    onChapter: (chapter) => chapters.push(chapter),
    ...task,
  });
  return { parsing, chapters };
}

describe("parsing in a process of its own", () => {
  test("gives the chapters in reading order and says how it ended", async () => {
    const { parsing, chapters } = await parse();
    expect(parsing.status).toBe("parsed");
    expect(chapters.map((chapter) => chapter.index)).toEqual([0, 1, 2]);
    expect(chapters[1]?.text).toContain("lit the lamp");
  });

  test("refuses a file that is not what it should be, with the reason", async () => {
    const { parsing, chapters } = await parse({ format: "epub" });
    expect(parsing).toMatchObject({ status: "refused", error: { code: expect.stringMatching(/^[a-z_]+$/) } });
    expect(JSON.stringify(parsing)).not.toContain(directory);
    expect(chapters).toEqual([]);
  });

  test("is ended when it takes too long", async () => {
    const { parsing } = await parse({ limits: { wallClockMs: 1 } });
    expect(parsing).toMatchObject({ status: "refused", error: { code: "parsing_too_slow" } });
  });

  test("is ended when it takes too much memory", async () => {
    const huge = join(directory, "huge");
    await writeFile(huge, "All the words of the world in one paragraph. ".repeat(1_000_000));
    const { parsing } = await parse({ file: huge, limits: { memoryBytes: 90_000_000 } });
    expect(parsing).toMatchObject({ status: "refused", error: { code: "parsing_too_large" } });
  });

  test("is ended when the work is called off", async () => {
    const controller = new AbortController();
    const parsing = parse({ signal: controller.signal });
    controller.abort(new Error("called off"));
    await expect(parsing).rejects.toThrow("called off");
  });
});
