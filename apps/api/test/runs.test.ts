import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { estimateSchema, runSchema } from "../src/wire/run.ts";
import { listSchema } from "../src/wire/shared.ts";
import {
  makeReady,
  post,
  problemOf,
  refuse,
  startedRun,
  startTestApi,
  type TestApi,
  textBook,
  uploadedBook,
  work,
} from "./test-api.ts";

const runList = listSchema(runSchema, "List");
let books = 0;

describe("runs", () => {
  let api: TestApi;
  beforeAll(async () => {
    api = await startTestApi();
  });
  afterAll(() => api.close());

  const book = () => uploadedBook(api, {}, ++books);
  const status = async (id: string) => runSchema.parse(await (await fetch(`${api.url}/status/${id}`)).json());

  test("a run of a book that is still being read is accepted, and begins when it was read", async () => {
    const { id } = await book();
    const response = await post(api, "/runs", { book_id: id });
    expect(response.status).toBe(202);
    const run = runSchema.parse(await response.json());
    expect(response.headers.get("location")).toBe(`/status/${run.id}`);
    expect(response.headers.get("retry-after")).toBe("1");
    expect(run).toMatchObject({
      book_id: id,
      status: "queued",
      stage: "parsing",
      recipes: ["summary"],
      method: "offline",
      model: null,
      options: { max_cost: null, fresh: false },
    });
    await makeReady(api, "local", id, 3);
    expect(await status(run.id)).toMatchObject({ stage: "chapters", counts: { total: 4, completed: 0 } });
  });

  test("a run tells where it stands until it has succeeded", async () => {
    const { id } = await book();
    const run = await startedRun(api, id);
    await makeReady(api, "local", id, 3);
    await work(api, "local", run.id, 2);
    const half = await status(run.id);
    expect(half).toMatchObject({ status: "running", counts: { total: 4, completed: 2, failed: 0 } });
    expect(half.running_at).not.toBeNull();
    await work(api, "local", run.id);
    const response = await fetch(`${api.url}/status/${run.id}`);
    expect(response.headers.get("retry-after")).toBeNull();
    const done = runSchema.parse(await response.json());
    expect(done).toMatchObject({ status: "succeeded", stage: "done", counts: { completed: 4 }, error: null });
    expect(done.succeeded_at).not.toBeNull();
    expect(done.revision).toBeGreaterThan(half.revision);
  });

  test("a status that has not changed is answered with 304", async () => {
    const run = await startedRun(api, (await book()).id);
    for (const path of [`/status/${run.id}`, `/runs/${run.id}`]) {
      const first = await fetch(`${api.url}${path}`);
      const etag = first.headers.get("etag") ?? "";
      expect(etag).toBe(`W/"${run.revision}"`);
      expect(first.headers.get("cache-control")).toBe("private, no-cache");
      const same = await fetch(`${api.url}${path}`, { headers: { "if-none-match": `"x", ${etag}` } });
      expect(same.status).toBe(304);
      expect(await same.text()).toBe("");
      expect(same.headers.get("retry-after")).toBe("1");
      const other = await fetch(`${api.url}${path}`, { headers: { "if-none-match": 'W/"0"' } });
      expect(other.status).toBe(200);
    }
  });

  test("the status changes its tag when the run changes", async () => {
    const { id } = await book();
    const run = await startedRun(api, id);
    const etag = (await fetch(`${api.url}/status/${run.id}`)).headers.get("etag") ?? "";
    await makeReady(api, "local", id);
    const changed = await fetch(`${api.url}/status/${run.id}`, { headers: { "if-none-match": etag } });
    expect(changed.status).toBe(200);
  });

  test("a form brings the book and starts its run in one request", async () => {
    const form = new FormData();
    form.set("recipes", "summary");
    form.set("file", new Blob([textBook(++books)]), "one.txt");
    form.set("options", JSON.stringify({ fresh: true }));
    const response = await fetch(`${api.url}/runs`, { method: "POST", body: form });
    expect(response.status).toBe(202);
    const run = runSchema.parse(await response.json());
    expect(run.options).toEqual({ max_cost: null, fresh: true, service_tier: null });
    const made = await fetch(`${api.url}/books/${run.book_id}`);
    expect(await made.json()).toMatchObject({ file_name: "one.txt", status: "stored" });
  });

  test.each([
    [{ recipes: "nonsense" }, "unknown_recipe", "/recipes/0"],
    [{ recipes: '["summary"' }, "invalid_request", "/recipes"],
    [{ options: "{" }, "invalid_request", "/options"],
    [{ options: '{"max_cost":-1}' }, "invalid_request", "/options/max_cost"],
    [{ dry_run: "perhaps" }, "invalid_request", "/dry_run"],
    [{ colour: "red" }, "invalid_request", ""],
  ])("a form with %j is refused and its file is not kept", async (fields, code, pointer) => {
    const before = await api.store.books.bytesStored("local");
    const form = new FormData();
    form.set("file", new Blob([textBook(++books)]), "one.txt");
    for (const [name, value] of Object.entries(fields)) form.set(name, value);
    const response = await fetch(`${api.url}/runs`, { method: "POST", body: form });
    expect(response.status).toBe(422);
    const problem = await problemOf(response);
    expect(problem.code).toBe(code);
    expect(problem.errors?.[0]?.pointer).toBe(pointer);
    expect(await api.store.books.bytesStored("local")).toBe(before);
  });

  test.each([
    [
      ["recipes", "summary"],
      ["recipes", "summary"],
    ],
    [["__proto__", "red"]],
  ])("a form with %j and %j is refused", async (...fields) => {
    const form = new FormData();
    form.set("file", new Blob([textBook(++books)]), "one.txt");
    for (const [name = "", value = ""] of fields) form.append(name, value);
    const response = await fetch(`${api.url}/runs`, { method: "POST", body: form });
    expect(response.status).toBe(422);
    expect((await problemOf(response)).code).toBe("invalid_request");
  });

  test.each([
    [{}, "/book_id"],
    [{ book_id: 7 }, "/book_id"],
    [{ book_id: "b", recipes: [] }, "/recipes"],
    [{ book_id: "b", recipes: ["summary", "summary"] }, "/recipes"],
    [{ book_id: "b", options: { max_cost: 0.5 } }, "/options/max_cost"],
    [{ book_id: "b", options: { max_cost: "1" } }, "/options/max_cost"],
    [{ book_id: "b", options: { speed: 1 } }, "/options"],
    [{ book_id: "b", "a/b~c": 1 }, ""],
    [[], ""],
  ])("%j is refused, and the answer names the field", async (body, pointer) => {
    const response = await post(api, "/runs", body);
    expect(response.status).toBe(422);
    const problem = await problemOf(response);
    expect(problem.code).toBe("invalid_request");
    expect(problem.errors?.map((error) => error.pointer)).toContain(pointer);
  });

  test("a run of a book that is not there is a 404", async () => {
    for (const bookId of ["nonsense", "book_00000000000000000000000000"]) {
      const response = await post(api, "/runs", { book_id: bookId });
      expect(response.status).toBe(404);
      expect((await problemOf(response)).errors?.[0]?.pointer).toBe("/book_id");
    }
  });

  test("a book that was refused gets no run, and the reason", async () => {
    const { id } = await book();
    await refuse(api, "local", id, "drm_protected");
    expect(await (await fetch(`${api.url}/books/${id}`)).json()).toMatchObject({
      status: "refused",
      error: { code: "drm_protected" },
    });
    const response = await post(api, "/runs", { book_id: id });
    expect(response.status).toBe(409);
    expect(await problemOf(response)).toMatchObject({
      code: "book_refused",
      detail: "The contents are encrypted.",
    });
  });

  test("a run that waits for a book fails with it", async () => {
    const { id } = await book();
    const run = await startedRun(api, id);
    await refuse(api, "local", id, "drm_protected");
    expect(await status(run.id)).toMatchObject({ status: "failed", error: { code: "drm_protected" } });
  });

  test("a limit of cost is fine without a model", async () => {
    const response = await post(api, "/runs", { book_id: (await book()).id, options: { max_cost: 1_000 } });
    expect(response.status).toBe(202);
    expect(await response.json()).toMatchObject({ options: { max_cost: 1_000 } });
  });

  test("a run can be cancelled, and asking again changes nothing", async () => {
    const run = await startedRun(api, (await book()).id);
    const first = await post(api, `/runs/${run.id}/cancel`);
    expect(first.status).toBe(200);
    expect(await first.json()).toMatchObject({ status: "cancelled" });
    const again = await post(api, `/runs/${run.id}/cancel`);
    expect(again.status).toBe(200);
  });

  test("a run with steps at work is cancelling until they have stopped", async () => {
    const { id } = await book();
    const run = await startedRun(api, id);
    await makeReady(api, "local", id);
    const [step] = await api.store.steps.ofRun("local", run.id);
    await api.store.steps.claim(step?.id ?? "", "test", 60_000);
    for (let time = 0; time < 2; time++) {
      const response = await post(api, `/runs/${run.id}/cancel`);
      expect(response.status).toBe(202);
      expect(await response.json()).toMatchObject({ status: "cancelling" });
    }
  });

  test("a run that has ended cannot be cancelled", async () => {
    const { id } = await book();
    const run = await startedRun(api, id);
    await makeReady(api, "local", id);
    await work(api, "local", run.id);
    const response = await post(api, `/runs/${run.id}/cancel`);
    expect(response.status).toBe(409);
    expect((await problemOf(response)).code).toBe("run_ended");
    expect((await problemOf(await post(api, `/runs/${run.id}/retry`))).code).toBe("nothing_to_retry");
  });

  test("a retry takes a cancelled run up again and keeps what was done", async () => {
    const { id } = await book();
    const run = await startedRun(api, id);
    await makeReady(api, "local", id);
    await work(api, "local", run.id, 1);
    await post(api, `/runs/${run.id}/cancel`);
    const response = await post(api, `/runs/${run.id}/retry`);
    expect(response.status).toBe(202);
    expect(await response.json()).toMatchObject({ counts: { completed: 1 }, cancelled_at: null });
    expect((await post(api, `/runs/${run.id}/retry`)).status).toBe(202);
    await work(api, "local", run.id);
    expect(await status(run.id)).toMatchObject({ status: "succeeded" });
  });

  test("a run whose book was deleted cannot be retried", async () => {
    const { id } = await book();
    const run = await startedRun(api, id);
    await fetch(`${api.url}/books/${id}`, { method: "DELETE" });
    expect((await problemOf(await post(api, `/runs/${run.id}/retry`))).code).toBe("book_deleted");
  });

  test("runs are listed by status and by book", async () => {
    const { id } = await book();
    const cancelled = await startedRun(api, id);
    await post(api, `/runs/${cancelled.id}/cancel`);
    const queued = await startedRun(api, id);
    const ids = async (query: string) => {
      const page = runList.parse(await (await fetch(`${api.url}/runs?book_id=${id}&${query}`)).json());
      return page.data.map((run) => run.id);
    };
    expect(await ids("")).toEqual([queued.id, cancelled.id]);
    expect(await ids("status=cancelled")).toEqual([cancelled.id]);
    expect(await ids("status=queued,cancelled")).toEqual([queued.id, cancelled.id]);
    expect((await fetch(`${api.url}/runs?status=nonsense`)).status).toBe(422);
  });

  test("a page of runs leads to the next one with the same filter", async () => {
    const { id } = await book();
    for (let time = 0; time < 3; time++) await startedRun(api, id);
    const first = await fetch(`${api.url}/runs?book_id=${id}&limit=2`);
    const link = /^<([^>]+)>; rel="next"$/.exec(first.headers.get("link") ?? "")?.[1];
    const next = runList.parse(await (await fetch(`${api.url}${link}`)).json());
    expect(next.data).toHaveLength(1);
    expect(next).toMatchObject({ has_more: false, next: null });
  });
});

describe("estimates", () => {
  const dryRun = (id: string) => ({ book_id: id, dry_run: true });

  test("a dry run of a book that is still being read says to ask again", async () => {
    await using api = await startTestApi();
    const { id } = await uploadedBook(api);
    const response = await post(api, "/runs", dryRun(id), { "idempotency-key": "k" });
    expect(response.status).toBe(409);
    expect(response.headers.get("retry-after")).toBe("2");
    expect((await problemOf(response)).code).toBe("book_not_ready");
    await makeReady(api, "local", id);
    expect((await post(api, "/runs", dryRun(id), { "idempotency-key": "k" })).status).toBe(200);
  });

  test("a dry run answers what the run would take, and starts nothing", async () => {
    await using api = await startTestApi({ model: "gpt-4.1-mini" });
    const { id } = await uploadedBook(api);
    await makeReady(api, "local", id, 5);
    const estimate = estimateSchema.parse(await (await post(api, "/runs", dryRun(id))).json());
    expect(estimate).toMatchObject({ chapters: 5, steps: 6, method: "model", model: "gpt-4.1-mini" });
    expect(estimate.calls).toBeGreaterThanOrEqual(6);
    expect(estimate.estimated_input_tokens.high).toBeGreaterThan(estimate.estimated_input_tokens.low);
    expect(estimate.cost?.low).toBe(
      estimate.estimated_input_tokens.low * 400 + estimate.estimated_output_tokens.low * 1_600,
    );
    expect(estimate.cost?.high).toBeGreaterThan(estimate.cost?.low ?? 0);
    expect(runList.parse(await (await fetch(`${api.url}/runs`)).json()).data).toEqual([]);
  });

  test("without a model a run costs nothing", async () => {
    await using api = await startTestApi();
    const { id } = await uploadedBook(api);
    await makeReady(api, "local", id);
    const estimate = estimateSchema.parse(await (await post(api, "/runs", dryRun(id))).json());
    expect(estimate).toMatchObject({ calls: 0, cost: { low: 0, high: 0 }, method: "offline", model: null });
  });

  test("a model of unknown price has no cost, and no limit can be kept", async () => {
    await using api = await startTestApi({ model: "house-made" });
    const { id } = await uploadedBook(api);
    await makeReady(api, "local", id);
    expect(await (await post(api, "/runs", dryRun(id))).json()).toMatchObject({ cost: null });
    const limited = await post(api, "/runs", { book_id: id, options: { max_cost: 5 } });
    expect(limited.status).toBe(422);
    const problem = await problemOf(limited);
    expect(problem.code).toBe("price_unknown");
    expect(problem.errors?.[0]?.pointer).toBe("/options/max_cost");
    expect((await post(api, "/runs", { book_id: id })).status).toBe(202);
  });
});
