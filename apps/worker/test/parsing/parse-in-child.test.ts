import { execFileSync, fork } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import type { Chapter } from "@mythic/runs";
import { waitFor } from "@mythic/testing/wait";
import { type ParseTask, parseInChild } from "../../src/parsing/parse-in-child.ts";
import { openWorkingCopy } from "../../src/parsing/working-copy.ts";

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

  test("costs nothing when Ctrl-C or a service manager ends it together with its worker", async () => {
    const parsing = parse({ file: await pipeOf("held") });
    const child = await waitFor(async () => {
      const ids = await readFile(`/proc/${process.pid}/task/${process.pid}/children`, "utf8");
      const parsers = await Promise.all(ids.trim().split(" ").map(commandOf));
      return parsers.find(({ command }) => command.includes("child.ts"));
    });
    process.kill(child.id, "SIGTERM");
    await expect(parsing).rejects.toMatchObject({ name: "Interruption", reason: "draining" });
  });

  test("ends soon after its worker was killed, also when it hangs", async () => {
    const pipe = await pipeOf("pipe");
    const parent = fork(new URL("./parent.ts", import.meta.url), [pipe], { stdio: "ignore" });
    const [message] = await once(parent, "message");
    const id = Number(message);
    parent.kill("SIGKILL");
    await once(parent, "close");
    await waitFor(() => !isAlive(id), { what: "the parser to end" });
  });
});

describe("the working copy of a file that is parsed", () => {
  test("is gone afterwards, and so is what a killed process left hours ago", async () => {
    const within = await mkdtemp(join(directory, "copies-"));
    const hoursAgo = new Date(Date.now() - 3 * 3_600_000);
    for (const name of ["mythic-parse-left", "mythic-parse-at-work", "someone-elses"]) {
      await mkdir(join(within, name));
      await writeFile(join(within, name, "book"), "text");
      if (name !== "mythic-parse-at-work") await utimes(join(within, name), hoursAgo, hoursAgo);
    }
    {
      await using copy = await openWorkingCopy(within);
      await writeFile(join(copy.directory, "book"), "text");
      expect(await readdir(within)).toHaveLength(3);
    }
    expect(await readdir(within)).toEqual(["mythic-parse-at-work", "someone-elses"]);
  });
});

/** A named pipe that nobody writes to: opening it holds whoever reads. */
async function pipeOf(name: string): Promise<string> {
  const pipe = join(directory, name);
  execFileSync("sh", ["-c", 'mkfifo "$0"', pipe]);
  return pipe;
}

async function commandOf(id: string): Promise<{ readonly id: number; readonly command: string }> {
  return { id: Number(id), command: await readFile(`/proc/${id}/cmdline`, "utf8") };
}

function isAlive(id: number): boolean {
  try {
    return process.kill(id, 0);
  } catch {
    return false;
  }
}
