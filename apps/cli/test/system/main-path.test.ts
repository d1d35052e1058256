import { afterAll, afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { freshDatabase, mongoUrl } from "@mythic/testing/mongo";
import { startRedis } from "@mythic/testing/redis";
import { waitFor } from "@mythic/testing/wait";
import { ENDED, type System, startSystem } from "./system.ts";

const mongo = await mongoUrl();
const stack = new AsyncDisposableStack();
const redis = stack.use(await startRedis());
afterAll(async () => {
  await stack.disposeAsync();
});

/** Every way the product is run: on one machine, and on many. */
const SYSTEMS = [
  { name: "SQLite and no Redis", mongodbUrl: null, redisUrl: null },
  ...(mongo === null ? [] : [{ name: "MongoDB, Redis and BullMQ", mongodbUrl: mongo, redisUrl: redis.url }]),
];

describe.each(SYSTEMS)("with $name, two workers and the API", ({ mongodbUrl, redisUrl }) => {
  let system: System;

  beforeEach(async () => {
    const database = mongodbUrl && freshDatabase(mongodbUrl);
    system = await startSystem({ mongodbUrl: database, redisUrl, workers: 2 });
  });
  afterEach(async () => {
    await system[Symbol.asyncDispose]();
  });

  test("a book goes in by HTTP and a summary comes out, each chapter asked once", async () => {
    const accepted = await system.submit();
    const run = await system.until(accepted.id, ENDED);
    expect(run).toMatchObject({
      status: "succeeded",
      method: "model",
      model: "gpt-5-mini",
      failures: [],
      error: null,
    });

    const steps = await system.steps(run.id);
    const asking = steps.filter((step) => step.kind !== "finish");
    expect(new Set(system.model.callsByContent().values())).toEqual(new Set([1]));
    expect(system.model.calls()).toHaveLength(asking.length);
    expect(run.counts).toEqual({ total: asking.length, completed: asking.length, failed: 0 });
    expect(run.usage).toMatchObject({ calls: asking.length, reused_answers: 0, cost: expect.any(Number) });

    const escaped = await (await system.request(`/runs/${run.id}/result?format=md`)).text();
    const markdown = escaped.replaceAll("\\", "");
    const result = (await (await system.request(`/runs/${run.id}/result`)).json()) as Result;
    const { whole, chapters } = result.recipes["summary"] ?? { whole: null, chapters: [] };
    expect(result.complete).toBe(true);
    expect(chapters).toHaveLength(steps.filter((step) => step.kind === "chapter").length);
    expect(whole).not.toBeNull();
    for (const { index, value } of chapters) {
      const chapter = await system.store.books.chapter("local", run.book_id, index);
      expect(value?.keyPoints.length).toBeGreaterThan(0);
      for (const { evidence } of value?.keyPoints ?? []) {
        expect(chapter?.text.slice(evidence.start, evidence.end)).toBe(evidence.quote);
      }
      expect(markdown).toContain(chapter?.title);
    }
  });

  test("a second run of the same book pays for nothing, and a fresh one asks anew", async () => {
    const first = await system.until((await system.submit()).id, ENDED);
    const paid = system.model.calls().length;
    const second = await system.until((await system.submit({ book_id: first.book_id })).id, ENDED);
    expect(second.status).toBe("succeeded");
    expect(second.usage).toMatchObject({ calls: 0, cost: 0, reused_answers: paid });
    expect(system.model.calls()).toHaveLength(paid);
    const options = { fresh: true };
    const fresh = await system.until((await system.submit({ book_id: first.book_id, options })).id, ENDED);
    expect(fresh.usage).toMatchObject({ calls: paid, reused_answers: 0 });
    expect(system.model.calls()).toHaveLength(2 * paid);
  });

  test("cancelling aborts the call in flight and keeps what is done", async () => {
    const book = await system.readBook();
    system.model.script({ does: { kind: "hang" } });
    const { id } = await system.submit({ book_id: book });
    await waitFor(() => system.model.calls().length > 0);
    expect((await system.request(`/runs/${id}/cancel`, { method: "POST" })).status).toBe(202);
    const run = await system.until(id, ENDED);
    expect(run.status).toBe("cancelled");
    await waitFor(() => system.model.calls().every((call) => call.outcome === "aborted"));
  });

  test("a chapter that fails for good leaves a partial run, and a retry asks for that one alone", async () => {
    const book = await system.readBook();
    const outlines = await system.store.books.outlines("local", book);
    const second = outlines.filter((outline) => outline.kind === "body")[1];
    const text =
      (await system.store.books.chapter("local", book, second?.index ?? 0))?.text.slice(0, 60) ?? "?";
    const rule = system.model.script({ match: text, does: { kind: "status", status: 400 } });
    const partial = await system.until((await system.submit({ book_id: book })).id, ENDED);
    expect(partial.status).toBe("partial");
    expect(partial.failures).toEqual([
      expect.objectContaining({ unit: second?.title, code: "model_rejected_request" }),
    ]);

    rule.remove();
    const asked = system.model.calls().length;
    await system.request(`/runs/${partial.id}/retry`, { method: "POST" });
    const run = await system.until(partial.id, ENDED);
    expect(run).toMatchObject({ status: "succeeded", failures: [] });
    const merges = (await system.steps(run.id)).filter((step) => step.kind === "merge").length;
    expect(system.model.calls().length - asked).toBeLessThanOrEqual(1 + merges);
  });

  test("a run stops at its cost limit with what was made", async () => {
    const book = await system.readBook();
    const dry = await system.request("/runs", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ book_id: book, dry_run: true }),
    });
    const { cost } = (await dry.json()) as { cost: { low: number; high: number } };
    expect(system.model.calls()).toHaveLength(0);
    const maxCost = Math.ceil(cost.low / 2);
    const run = await system.until(
      (await system.submit({ book_id: book, options: { max_cost: maxCost } })).id,
      ENDED,
    );
    expect(run.usage.cost).toBeLessThanOrEqual(maxCost);
    expect(["partial", "failed"]).toContain(run.status);
    expect(run.failures[0]?.code).toBe("max_cost_reached");
  });

  test("answers that are cut off, empty or malformed never become content and are asked for again", async () => {
    const book = await system.readBook();
    for (const kind of ["truncate", "empty", "invalid_json", "invalid_schema"] as const) {
      system.model.script({ times: 1, does: { kind } });
    }
    const run = await system.until((await system.submit({ book_id: book })).id, ENDED);
    expect(run.status).toBe("succeeded");
    const failed = (await system.store.ledger.ofRun("local", run.id)).filter((row) => row.state === "failed");
    expect(failed).toHaveLength(4);
    expect(failed.every((row) => row.answer === null && row.outputTokens >= 0)).toBe(true);
  });

  test("a refusal is never content and is not asked for again", async () => {
    const book = await system.readBook();
    system.model.script({ times: 1, does: { kind: "refuse" } });
    const run = await system.until((await system.submit({ book_id: book })).id, ENDED);
    expect(run.status).toBe("partial");
    expect(run.failures).toEqual([expect.objectContaining({ code: "model_refused" })]);
    expect(Math.max(...system.model.callsByContent().values())).toBe(1);
  });
});

interface Result {
  readonly complete: boolean;
  readonly recipes: Record<
    string,
    {
      readonly whole: unknown;
      readonly chapters: readonly {
        readonly index: number;
        readonly value: {
          readonly keyPoints: readonly {
            readonly evidence: { readonly start: number; readonly end: number; readonly quote: string };
          }[];
        } | null;
      }[];
    }
  >;
}
