import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { mythic, startMythic } from "./mythic.ts";
import { BOOK, json, RUN, type Script, type ScriptedApi, startScriptedApi, usual } from "./scripted-api.ts";

let folder: string;
let file: string;
let stack: AsyncDisposableStack;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  folder = await mkdtemp(join(tmpdir(), "mythic-cli-"));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  file = join(folder, "lamp.epub");
  await writeFile(file, "bytes of a book");
});

afterEach(() => stack.disposeAsync());

async function serving(script: Script): Promise<ScriptedApi> {
  return stack.use(await startScriptedApi(script));
}

function processThrough(api: ScriptedApi, ...words: string[]) {
  return mythic(["process", file, "--server", api.url, "--key", "a-key", ...words], { cwd: folder });
}

function asked(api: ScriptedApi, method: string, path: string) {
  return api.seen.filter((request) => request.method === method && request.path === path);
}

describe("processing a book through a server", () => {
  test("uploads the file, starts a run, writes the result and prints where", async () => {
    const api = await serving(usual());
    const { code, stdout, stderr } = await processThrough(api);
    expect({ code, stderr }).toMatchObject({ code: 0, stderr: expect.stringContaining("1 answers reused") });
    expect(stdout).toBe("mythic-output/the-lamp/summary.md\nmythic-output/the-lamp/result.json\n");
    expect(await readFile(join(folder, "mythic-output/the-lamp/summary.md"), "utf8")).toBe("# The Lamp\n");
    expect((await readdir(join(folder, "mythic-output/the-lamp"))).sort()).toEqual([
      "result.json",
      "summary.md",
    ]);

    const [upload] = asked(api, "POST", "/books");
    expect(upload?.body).toContain('name="file"; filename="lamp.epub"');
    expect(upload?.body).toContain("bytes of a book");
    const [started] = asked(api, "POST", "/runs");
    expect(JSON.parse(started?.body ?? "")).toEqual({
      book_id: BOOK.id,
      recipes: ["summary"],
      options: { max_cost: null, fresh: false },
    });
    expect(api.seen.every((request) => request.authorization === "Bearer a-key")).toBe(true);
  });

  test("puts the chapters of all pages into one result", async () => {
    const api = await serving(usual());
    const { code, stdout } = await processThrough(api, "--json");
    expect(code).toBe(0);
    const whole = JSON.parse(stdout);
    expect(whole.recipes.summary).toMatchObject({
      chapters: [{ title: "One" }, { title: "Two" }],
      next: null,
    });
    expect(whole.run.id).toBe(RUN.id);
  });

  test("writes no files when the result goes to standard output", async () => {
    const api = await serving(usual());
    await processThrough(api, "--json");
    expect(await readdir(folder)).toEqual(["lamp.epub"]);
  });

  test("sends options as whole nano-dollars and flags", async () => {
    const api = await serving(usual());
    await processThrough(api, "--max-cost", "0.25", "--fresh", "--recipes", "summary, quiz");
    expect(JSON.parse(asked(api, "POST", "/runs")[0]?.body ?? "")).toMatchObject({
      recipes: ["summary", "quiz"],
      options: { max_cost: 250_000_000, fresh: true },
    });
  });

  test("takes the server and the key from the environment", async () => {
    const api = await serving(usual());
    const env = { MYTHIC_SERVER: api.url, MYTHIC_KEY: "from-environment" };
    expect((await mythic(["runs"], { env })).stdout).toBe("No runs.\n");
    expect(api.seen[0]?.authorization).toBe("Bearer from-environment");
  });

  test("ends with 3 and names what is missing when a run is partial", async () => {
    const failures = [
      { step: "s", unit: "Chapter 7", code: "answer_truncated", detail: "The answer was cut." },
    ];
    const api = await serving(
      usual({ [`GET /status/${RUN.id}`]: json({ ...RUN, status: "partial", failures }) }),
    );
    const { code, stderr } = await processThrough(api);
    expect(code).toBe(3);
    expect(stderr).toContain("Missing: Chapter 7. The answer was cut.");
    expect(await readdir(join(folder, "mythic-output/the-lamp"))).toContain("summary.md");
  });

  test("ends with 1 and the reason alone when a run fails", async () => {
    const error = { code: "drm_protected", detail: "The book is protected against copying." };
    const api = await serving(
      usual({ [`GET /status/${RUN.id}`]: json({ ...RUN, status: "failed", error }) }),
    );
    const { code, stdout, stderr } = await processThrough(api);
    expect({ code, stdout, stderr }).toEqual({
      code: 1,
      stdout: "",
      stderr: "mythic: The book is protected against copying.\n",
    });
  });

  test("says what the server refuses in the server's own sentence", async () => {
    const problem = {
      title: "Unsupported media type",
      detail: "EPUB and plain text can be read.",
      code: "unsupported_format",
    };
    const api = await serving(usual({ "POST /books": json(problem, 415) }));
    const { code, stderr } = await processThrough(api);
    expect({ code, stderr }).toEqual({ code: 1, stderr: "mythic: EPUB and plain text can be read.\n" });
  });

  test("ends with 2 and names the recipes when there is no such recipe", async () => {
    const problem = {
      title: "There is no such recipe",
      detail: "There are these recipes: summary.",
      code: "unknown_recipe",
    };
    const api = await serving(usual({ "POST /runs": json(problem, 422) }));
    const { code, stderr } = await processThrough(api, "--recipes", "fairy");
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: "mythic: There is no such recipe. There are these recipes: summary.\n",
    });
  });

  test.each([
    ["says what a model takes to whoever has set a part of it", { MYTHIC_MODEL: "a-model" }, true],
    ["is silent about models to whoever has set nothing", {}, false],
  ])("%s", async (_what, env, told) => {
    const api = await serving(usual({ [`GET /status/${RUN.id}`]: json({ ...RUN, model: null }) }));
    const { code, stderr } = await mythic(["process", file, "--server", api.url], { cwd: folder, env });
    expect(code).toBe(0);
    expect(stderr.includes("that takes MYTHIC_MODEL, and OPENAI_API_KEY or OPENAI_BASE_URL")).toBe(told);
  });

  test("says how to hand in a key to a server that asks for one", async () => {
    const problem = { title: "A key is needed", detail: "Send a header.", code: "unauthorized" };
    const api = await serving({ "GET /runs": json(problem, 401) });
    const { code, stderr } = await mythic(["runs", "--server", api.url]);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: "mythic: This server asks for a key: set MYTHIC_KEY, or add --key.\n",
    });
  });

  test("asks again when the server is busy for a moment", async () => {
    let calls = 0;
    const api = await serving(
      usual({
        "POST /runs": () =>
          ++calls === 1
            ? { status: 503, headers: { "retry-after": "1" }, body: { detail: "The store is away." } }
            : json({ ...RUN, status: "queued" }, 202),
      }),
    );
    expect((await processThrough(api)).code).toBe(0);
    expect(calls).toBe(2);
  });

  test("goes on with a live run of the same book and options instead of starting another", async () => {
    const live = { ...RUN, status: "running", stage: "chapters" };
    const api = await serving(usual({ "GET /runs": json({ data: [live], has_more: false, next: null }) }));
    const { code, stderr } = await processThrough(api);
    expect(code).toBe(0);
    expect(stderr).toContain(`Going on with ${RUN.id}`);
    expect(asked(api, "GET", "/runs")[0]?.query.get("book_id")).toBe(BOOK.id);
    expect(asked(api, "POST", "/runs")).toEqual([]);
  });

  test("starts a run of its own beside a live one with other options", async () => {
    const live = { ...RUN, status: "running", options: { max_cost: 5, fresh: false } };
    const api = await serving(usual({ "GET /runs": json({ data: [live], has_more: false, next: null }) }));
    await processThrough(api);
    expect(asked(api, "POST", "/runs")).toHaveLength(1);
  });

  test("leaves the run to the server when it is interrupted, and says how to see it", async () => {
    const api = await serving(
      usual({ [`GET /status/${RUN.id}`]: json({ ...RUN, status: "running", stage: "chapters" }) }),
    );
    const running = startMythic(["process", file, "--server", api.url], { cwd: folder });
    await running.says(/chapters/);
    running.signal("SIGINT");
    expect(await running.ended()).toBe(130);
    expect(running.stderr).toContain(`mythic status ${RUN.id}`);
    expect(asked(api, "POST", `/runs/${RUN.id}/cancel`)).toEqual([]);
  });

  test("never lets the server choose where a file is written", async () => {
    const api = await serving(
      usual({
        [`GET /books/${BOOK.id}`]: json({ ...BOOK, title: "../../escape" }),
        [`GET /runs/${RUN.id}/result`]: ({ query }) =>
          query.get("format") === "md"
            ? {
                status: 200,
                headers: { "content-disposition": 'inline; filename="../../../evil.md"' },
                body: "x",
              }
            : json({ run_id: RUN.id, recipes: {} }),
      }),
    );
    const { stdout } = await processThrough(api);
    expect(stdout).toBe("mythic-output/escape/summary.md\nmythic-output/escape/result.json\n");
  });

  test("gives a second book of the same title a folder of its own", async () => {
    const api = await serving(usual());
    await processThrough(api);
    const other = { ...BOOK, sha256: "c0ffee".padEnd(64, "0") };
    const second = await serving(
      usual({ "POST /books": json(other), [`GET /books/${BOOK.id}`]: json(other) }),
    );
    expect((await processThrough(second)).stdout).toContain("mythic-output/the-lamp-c0ffee/summary.md");
  });

  test("gives the same file the same folder, whichever server it went through", async () => {
    await processThrough(await serving(usual()));
    const moved = { ...BOOK, id: "book_0000000000000000000000abcd" };
    const second = await serving(
      usual({ "POST /books": json(moved), [`GET /books/${BOOK.id}`]: json(moved) }),
    );
    expect((await processThrough(second)).stdout).toContain("mythic-output/the-lamp/summary.md");
  });

  test("says in one sentence that a server cannot be reached", async () => {
    const { code, stderr } = await mythic(["runs", "--server", "http://127.0.0.1:9"]);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: "mythic: The server at http://127.0.0.1:9 cannot be reached.\n",
    });
  });

  test("says that something else than Mythic answers", async () => {
    const api = await serving({ "GET /runs": { status: 200, body: "<html>" } });
    expect((await mythic(["runs", "--server", api.url])).stderr).toBe(
      `mythic: ${api.url} does not answer like a Mythic server.\n`,
    );
  });
});

describe("looking at a server", () => {
  test("lists books in columns and keeps their titles from steering the terminal", async () => {
    const title = "Lamp\u001b[2J\u202e\nnext";
    const api = await serving(
      usual({ "GET /books/my": json({ data: [{ ...BOOK, title }], has_more: false, next: null }) }),
    );
    const { stdout } = await mythic(["books", "--server", api.url]);
    expect(stdout.split("\n")).toHaveLength(3);
    expect(stdout).toContain(`${BOOK.id}  ready   2         Lamp [2J next`);
    expect(stdout).not.toContain("\u001b");
    expect(stdout).not.toContain("\u202e");
  });

  test("lists runs by state", async () => {
    const api = await serving(usual({ "GET /runs": json({ data: [RUN], has_more: false, next: null }) }));
    const { stdout } = await mythic(["runs", "--status", "succeeded,partial", "--server", api.url]);
    expect(stdout).toContain(`${RUN.id}  succeeded  4/4    summary`);
    expect(api.seen[0]?.query.get("status")).toBe("succeeded,partial");
  });

  test("shows a run in lines, or as the server's JSON", async () => {
    const api = await serving(usual());
    const { stdout } = await mythic(["status", RUN.id, "--server", api.url]);
    expect(stdout).toMatch(/^status {3}succeeded$/m);
    expect(stdout).toMatch(/^usage {4}3 calls, 900 tokens in, 90 out, \$0\.0012$/m);
    const asJson = await mythic(["status", RUN.id, "--json", "--server", api.url]);
    expect(JSON.parse(asJson.stdout)).toMatchObject({ id: RUN.id, status: "succeeded" });
  });

  test("prints a result as Markdown", async () => {
    const api = await serving(usual());
    expect((await mythic(["result", RUN.id, "--server", api.url])).stdout).toBe("# The Lamp\n");
  });

  test.each(["cancel", "retry"])("asks the server to %s a run", async (action) => {
    const api = await serving(
      usual({ [`POST /runs/${RUN.id}/${action}`]: json({ ...RUN, status: "queued" }, 202) }),
    );
    const { code, stdout } = await mythic([action, RUN.id, "--server", api.url]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${RUN.id} queued\n` });
  });

  test("passes on that a run is not there", async () => {
    const api = await serving(usual());
    const { code, stderr } = await mythic(["status", "run_none", "--server", api.url]);
    expect({ code, stderr }).toEqual({ code: 1, stderr: "mythic: There is no such thing.\n" });
  });
});

describe("answers that a server keeps", () => {
  const AMOUNT = { calls: 2, tokens: 90, cost: 1_200_000, unpriced_calls: 0 };
  const NOTHING = { calls: 0, tokens: 0, cost: 0, unpriced_calls: 0 };

  test("are shown by what they cost and what they saved", async () => {
    const total = {
      spent: { ...AMOUNT, unpriced_calls: 1 },
      saved: { cache_hit: AMOUNT },
      wasted: { paid_twice: NOTHING },
    };
    const usage = { user: null, from: "2026-11-01", to: "2026-11-02", total, days: [] };
    const api = await serving({ "GET /usage": json(usage) });
    const words = ["usage", "--from", "2026-11-01", "--user", "ada", "--server", api.url];
    const { stdout } = await mythic(words);
    expect(stdout).toMatch(/^spent +2 +90 +\$0\.0012 and 1 calls of unknown price$/m);
    expect(stdout).toMatch(/^saved: cache hit +2 +90 +\$0\.0012$/m);
    expect(stdout).toMatch(/^wasted: paid twice +0 +0 +\$0\.00$/m);
    expect(api.seen[0]?.query.toString()).toBe("from=2026-11-01&user=ada");
    const asJson = await mythic([...words, "--json"]);
    expect(JSON.parse(asJson.stdout)).toMatchObject({ user: null, total: { spent: { calls: 2 } } });
  });

  test("are explained for a request in a file", async () => {
    const explanation = {
      cause: "different",
      sentence: "The nearest request before it differs in model (changed).",
      differences: [{ field: "model", how: "changed" }],
    };
    const api = await serving({ "POST /answers/explain": json(explanation) });
    const request = join(folder, "request.json");
    await writeFile(request, '{"model":"m","messages":[]}');
    const { code, stdout } = await mythic([
      "cache",
      "explain",
      request,
      "--user",
      "ada",
      "--server",
      api.url,
    ]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${explanation.sentence}\n  model: changed\n` });
    expect(api.seen[0]).toMatchObject({ body: '{"model":"m","messages":[]}' });
    expect(api.seen[0]?.query.get("user")).toBe("ada");
  });

  test.each([
    [["--run", "run_1"], "run=run_1"],
    [["--recipe", "summary@2", "--user", "*"], "recipe=summary&version=2&user=*"],
    [["--all"], "all=true"],
  ])("are erased by %j", async (words, query) => {
    const api = await serving({ "DELETE /answers": json({ erased: 7 }) });
    const { code, stdout } = await mythic(["cache", "erase", ...words, "--server", api.url]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "7\n" });
    expect(api.seen[0]?.query.toString()).toBe(query);
  });

  test.each([[[]], [["--all", "--run", "run_1"]]])(
    "are not erased by %j, which does not say which",
    async (words) => {
      const { code, stderr } = await mythic(["cache", "erase", ...words]);
      expect({ code, stderr }).toMatchObject({
        code: 2,
        stderr: expect.stringContaining("Say which answers"),
      });
    },
  );

  test("are made at the lower price where that is asked for", async () => {
    const api = await serving(usual());
    await processThrough(api, "--flex");
    const [started] = asked(api, "POST", "/runs");
    expect(JSON.parse(started?.body ?? "")).toMatchObject({ options: { service_tier: "flex" } });
  });
});
