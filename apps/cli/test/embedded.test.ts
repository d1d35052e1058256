import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { type FakeOpenAi, startFakeOpenAi } from "@mythic/testing/fake-openai";
import { waitFor } from "@mythic/testing/wait";
import { readCliConfig } from "../src/config.ts";
import { startEmbedded } from "../src/embedded.ts";
import { mythic, startMythic } from "./mythic.ts";
import { sampleText } from "./sample-text.ts";

const CHAPTERS = 4;
const SLOW = 60_000;

let folder: string;
let env: Readonly<Record<string, string>>;
let stack: AsyncDisposableStack;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  folder = await mkdtemp(join(tmpdir(), "mythic-embedded-"));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  env = { MYTHIC_DATA_DIR: join(folder, "data") };
});

afterEach(() => stack.disposeAsync());

async function book(name: string): Promise<string> {
  const path = join(folder, `${name}.txt`);
  await writeFile(path, sampleText(name, CHAPTERS));
  return path;
}

/** A model that answers after so many milliseconds, one question at a time. */
async function withModel(latencyMs = 0): Promise<FakeOpenAi> {
  const fake = stack.use(await startFakeOpenAi({ latencyMs }));
  env = {
    ...env,
    MYTHIC_MODEL: "fake-model",
    OPENAI_API_KEY: "sk-test",
    OPENAI_BASE_URL: fake.baseUrl,
    WORKER_CONCURRENCY: "1",
  };
  return fake;
}

function run(...words: string[]) {
  return mythic(words, { env, cwd: folder });
}

function asked(fake: FakeOpenAi, words: string) {
  return fake.calls().filter((call) => JSON.stringify(call.request).includes(words)).length;
}

describe("processing a book with nothing running", () => {
  test("finds key passages without a model, and never calls them a summary", async () => {
    const { code, stdout, stderr } = await run("process", await book("Mara"));
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stdout).toBe("mythic-output/mara/key-passages.md\nmythic-output/mara/result.json\n");
    const result = JSON.parse(await readFile(join(folder, "mythic-output/mara/result.json"), "utf8"));
    expect(result).toMatchObject({ method: "offline", status: "succeeded", complete: true });
    expect(result.recipes.summary.chapters).toHaveLength(CHAPTERS);
    expect(await readFile(join(folder, "mythic-output/mara/key-passages.md"), "utf8")).toContain("Mara");
    expect(stderr).toContain("Made without a model: key passages, not a summary.");
  });

  test("tells of the stages in plain lines when nobody watches a terminal", async () => {
    const { stderr } = await run("process", await book("Mara"));
    expect(stderr).toMatch(
      /^(Reading the book|Working through the chapters|Putting it together|Finishing)(: \d+ of \d+ steps)?$/m,
    );
    expect(stderr).not.toContain("\u001b");
    expect(stderr).not.toContain("\r");
  });

  test("draws a bar on a terminal", async () => {
    await withModel(100);
    const file = await book("Mara");
    const words = `'${process.execPath}' '${join(import.meta.dirname, "../src/main.ts")}' process '${file}'`;
    const { stdout } = await promisify(execFile)("script", ["-qec", words, "/dev/null"], {
      cwd: folder,
      env: { PATH: process.env["PATH"] ?? "", TERM: "xterm", ...env },
    });
    const drawn = stdout.split("\r\u001b[2K");
    expect(drawn.length).toBeGreaterThan(2);
    expect(drawn.join("\n")).toMatch(/^Working through the chapters █+░+ \d of \d steps$/m);
    expect(stdout).toMatch(/✓ \d+\.\d s/);
  });

  test("asks the model once for each thing, and a second time pays for nothing", async () => {
    const fake = await withModel();
    const file = await book("Mara");
    const first = await run("process", file, "--json");
    expect(first.code).toBe(0);
    expect(JSON.parse(first.stdout)).toMatchObject({ run: { method: "model", model: "fake-model" } });
    const calls = fake.calls().length;
    expect(calls).toBeGreaterThanOrEqual(CHAPTERS);
    const second = await run("process", file);
    expect(second.stdout).toContain("summary.md");
    expect(second.stderr).toMatch(/\d+ answers reused\./);
    expect(fake.calls()).toHaveLength(calls);
  });

  test("asks anew when told to", async () => {
    const fake = await withModel();
    const file = await book("Mara");
    await run("process", file);
    const calls = fake.calls().length;
    await run("process", file, "--fresh");
    expect(fake.calls()).toHaveLength(calls * 2);
  });

  test("says why a file is no book", async () => {
    const path = join(folder, "noise.epub");
    await writeFile(path, Buffer.from([0, 1, 2, 3, 255, 254, 0, 0]));
    const { code, stdout, stderr } = await run("process", path);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(/^mythic: .+\.\n$/);
  });

  test("opens its port to nobody else", async () => {
    const embedded = await startEmbedded(readCliConfig(env), { work: false });
    stack.defer(() => embedded.close());
    expect((await fetch(`${embedded.url}/books/my`)).status).toBe(401);
    const headers = { authorization: `Bearer ${embedded.key}` };
    expect((await fetch(`${embedded.url}/books/my`, { headers })).status).toBe(200);
  });
});

describe("an interrupted run", () => {
  async function interrupt(file: string, fake: FakeOpenAi): Promise<string> {
    const before = fake.calls().length;
    // So that the signal comes before the third answer, however busy the machine is.
    const slow = fake.script({ latencyMs: 800 });
    const running = startMythic(["process", file], { env, cwd: folder });
    await waitFor(() => fake.calls().length > before + 1, { timeoutMs: 20_000, what: "the second question" });
    running.signal("SIGINT");
    expect(await running.ended()).toBe(130);
    slow.remove();
    return running.stderr;
  }

  test(
    "is gone on with by the same command, and nothing is paid for twice",
    async () => {
      const fake = await withModel();
      const file = await book("Mara");
      expect(await interrupt(file, fake)).toContain("the same command goes on from here");
      expect(fake.calls().length).toBeLessThan(CHAPTERS);
      const again = await run("process", file);
      expect({ code: again.code, stderr: again.stderr }).toMatchObject({ code: 0 });
      expect(again.stderr).toMatch(/^Going on with run_/m);
      expect([...fake.callsByContent().values()].every((times) => times === 1)).toBe(true);
      expect((await run("runs")).stdout.match(/^run_/gm)).toHaveLength(1);
    },
    SLOW,
  );

  test(
    "waits while another book is processed",
    async () => {
      const fake = await withModel();
      await interrupt(await book("Mara"), fake);
      const paid = asked(fake, "Mara");
      expect((await run("process", await book("Jonas"))).code).toBe(0);
      expect(asked(fake, "Mara")).toBe(paid);
      expect(asked(fake, "Jonas")).toBeGreaterThanOrEqual(CHAPTERS);
      expect((await run("runs")).stdout).toMatch(/running/);
    },
    SLOW,
  );

  test(
    "can be cancelled, and taken up again to its end",
    async () => {
      const fake = await withModel();
      await interrupt(await book("Mara"), fake);
      const id = /run_\w+/.exec((await run("runs")).stdout)?.[0] ?? "";
      expect((await run("cancel", id)).stdout).toBe(`${id} cancelled\n`);
      const retried = await run("retry", id);
      expect(retried).toMatchObject({ code: 0, stdout: `${id} succeeded\n` });
      expect([...fake.callsByContent().values()].every((times) => times === 1)).toBe(true);
    },
    SLOW,
  );
});

describe("what was processed on this machine", () => {
  test("can be looked at without a server", async () => {
    await run("process", await book("Mara"));
    const { stdout } = await run("books");
    expect(stdout).toMatch(/^book_\w+ +ready +4 /m);
    const id = /run_\w+/.exec((await run("runs")).stdout)?.[0] ?? "";
    expect((await run("status", id)).stdout).toMatch(/^status +succeeded$/m);
    expect((await run("result", id)).stdout).toMatch(/^# /m);
    expect(JSON.parse((await run("result", id, "--json")).stdout)).toMatchObject({ run: { id } });
  });

  test("is worked on by two commands at once without a mix-up", async () => {
    const files = await Promise.all([book("Mara"), book("Jonas")]);
    const both = await Promise.all(files.map((file) => run("process", file)));
    expect(both.map(({ code }) => code)).toEqual([0, 0]);
    for (const name of ["Mara", "Jonas"]) {
      const path = join(folder, "mythic-output", name.toLowerCase(), "key-passages.md");
      expect(await readFile(path, "utf8")).toContain(name);
    }
  });
});
