import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { resultSchema } from "../src/wire/result.ts";
import {
  makeReady,
  problemOf,
  startedRun,
  startTestApi,
  type TestApi,
  uploadedBook,
  work,
} from "./test-api.ts";

describe("results", () => {
  let api: TestApi;
  let runId: string;
  beforeAll(async () => {
    api = await startTestApi();
    const { id } = await uploadedBook(api);
    runId = (await startedRun(api, id)).id;
    await makeReady(api, "local", id, 5);
  });
  afterAll(() => api.close());

  const read = async (query = "") => {
    const response = await fetch(`${api.url}/runs/${runId}/result${query}`);
    expect(response.status).toBe(200);
    return resultSchema.parse(await response.json());
  };

  test("what is done can be read while the run goes on", async () => {
    await work(api, "local", runId, 2);
    const result = await read();
    expect(result).toMatchObject({
      run_id: runId,
      status: "running",
      complete: false,
      method: "offline",
      book: { title: "The Bell", authors: ["A. Writer"], language: "en" },
    });
    const { summary } = result.recipes;
    expect(summary?.whole).toBeNull();
    expect(summary?.chapters.map(({ state }) => state)).toEqual([
      "done",
      "done",
      "pending",
      "pending",
      "pending",
    ]);
    expect(summary?.chapters[0]?.value).not.toBeNull();
    expect(summary?.chapters[2]?.value).toBeNull();
  });

  test("a run that has succeeded has everything", async () => {
    await work(api, "local", runId);
    const result = await read();
    expect(result).toMatchObject({ status: "succeeded", complete: true });
    expect(result.recipes["summary"]?.whole).not.toBeNull();
    expect(result.recipes["summary"]?.next).toBeNull();
  });

  test("pages hold each chapter once, in reading order", async () => {
    const seen: number[] = [];
    for (let after = ""; ; ) {
      const { recipes } = await read(`?recipe=summary&limit=2${after}`);
      seen.push(...(recipes["summary"]?.chapters.map(({ index }) => index) ?? []));
      const next = recipes["summary"]?.next ?? null;
      if (next === null) break;
      after = `&after=${next}`;
    }
    expect(seen).toEqual([0, 1, 2, 3, 4]);
  });

  test("Markdown comes as a file named for what it is", async () => {
    const response = await fetch(`${api.url}/runs/${runId}/result?format=md`);
    expect(response.headers.get("content-type")).toBe("text/markdown; charset=utf-8");
    expect(response.headers.get("content-disposition")).toBe('attachment; filename="key-passages.md"');
    const text = await response.text();
    expect(text).toContain("Key passages: The Bell");
    expect(text).toContain("Chapter 5");
  });

  test.each([
    ["?recipe=quiz", "unknown_recipe"],
    ["?limit=501", "invalid_request"],
    ["?after=x", "invalid_request"],
    ["?format=pdf", "invalid_request"],
  ])("%s is refused", async (query, code) => {
    const response = await fetch(`${api.url}/runs/${runId}/result${query}`);
    expect(response.status).toBe(422);
    expect((await problemOf(response)).code).toBe(code);
  });

  test("a run whose book is still being read has nothing yet", async () => {
    const { id } = await uploadedBook(api, {}, 2);
    const run = await startedRun(api, id);
    const response = await fetch(`${api.url}/runs/${run.id}/result`);
    expect(resultSchema.parse(await response.json())).toMatchObject({
      complete: false,
      recipes: { summary: { whole: null, chapters: [], next: null } },
    });
  });
});
