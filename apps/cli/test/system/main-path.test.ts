import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import type { Rule, ScriptedRule } from "@mythic/testing/fake-openai";
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

/** Answers of the ledger are left alone, so that each test sees calls of its own. */
const FRESH = { options: { fresh: true } };

describe.each(SYSTEMS)("with $name, two workers and the API", ({ mongodbUrl, redisUrl }) => {
  let system: System;
  let book: string;
  let callsBefore: number;
  const rules: ScriptedRule[] = [];

  beforeAll(async () => {
    const database = mongodbUrl && freshDatabase(mongodbUrl);
    system = await startSystem({ mongodbUrl: database, redisUrl, workers: 2 });
    book = await system.readBook();
  });
  afterAll(async () => {
    await system[Symbol.asyncDispose]();
  });
  beforeEach(() => {
    callsBefore = system.model.calls().length;
  });
  afterEach(() => {
    for (const rule of rules.splice(0)) rule.remove();
  });

  const calls = () => system.model.calls().slice(callsBefore);
  const script = (rule: Rule) => {
    const scripted = system.model.script(rule);
    rules.push(scripted);
    return scripted;
  };
  const finish = async (body: Record<string, unknown> = FRESH) =>
    system.until((await system.submit({ book_id: book, ...body })).id, ENDED);

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
    expect(new Set(calls().map((call) => call.request.digest)).size).toBe(calls().length);
    expect(calls()).toHaveLength(asking.length);
    expect(run.counts).toEqual({ total: asking.length, completed: asking.length, failed: 0 });
    expect(run.usage).toMatchObject({ calls: asking.length, reused_answers: 0, cost: expect.any(Number) });

    const escaped = await (await system.request(`/runs/${run.id}/result?format=md`)).text();
    const markdown = escaped.replaceAll("\\", "");
    const result = (await (await system.request(`/runs/${run.id}/result`)).json()) as Result;
    const made = result.recipes["summary"];
    const { whole, chapters, coverage } = made ?? { whole: null, chapters: [], coverage: null };
    expect(result.complete).toBe(true);
    expect(chapters).toHaveLength(steps.filter((step) => step.kind === "chapter").length);
    expect(whole).not.toBeNull();
    expect(coverage).toMatchObject({ chapters: chapters.length, chapters_with_evidence: chapters.length });
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
    const fresh = await finish();
    const paid = calls().length;
    expect(fresh.usage).toMatchObject({ calls: paid, reused_answers: 0 });
    const again = await finish({});
    expect(again.status).toBe("succeeded");
    expect(again.usage).toMatchObject({ calls: 0, cost: 0, reused_answers: paid });
    expect(calls()).toHaveLength(paid);
  });

  test("finished chapters can be read while the run goes on", async () => {
    script({ match: await textOf(1), latencyMs: 1_000 });
    const { id } = await system.submit({ book_id: book, ...FRESH });
    const result = await waitFor(async () => {
      const partial = (await (await system.request(`/runs/${id}/result`)).json()) as Result;
      return partial.recipes["summary"]?.chapters.some((chapter) => chapter.value !== null) && partial;
    });
    expect(result.complete).toBe(false);
    expect(result.recipes["summary"]?.whole).toBeNull();
    expect((await system.until(id, ENDED)).status).toBe("succeeded");
  });

  test("cancelling aborts the call in flight and keeps what is done", async () => {
    script({ does: { kind: "hang" } });
    const { id } = await system.submit({ book_id: book, ...FRESH });
    await waitFor(() => calls().length > 0);
    expect((await system.request(`/runs/${id}/cancel`, { method: "POST" })).status).toBe(202);
    const run = await system.until(id, ENDED);
    expect(run.status).toBe("cancelled");
    await waitFor(() => calls().every((call) => call.outcome === "aborted"));
  });

  test("a chapter that fails for good leaves a partial run, and a retry asks for that one alone", async () => {
    const rule = script({ match: await textOf(1), does: { kind: "status", status: 400 } });
    const partial = await finish();
    expect(partial.status).toBe("partial");
    const { title } = await chapterAt(1);
    expect(partial.failures).toEqual([
      expect.objectContaining({ unit: title, code: "model_rejected_request" }),
    ]);

    rule.remove();
    const asked = calls().length;
    await system.request(`/runs/${partial.id}/retry`, { method: "POST" });
    const run = await system.until(partial.id, ENDED);
    expect(run).toMatchObject({ status: "succeeded", failures: [] });
    // The chapter, the part it stands in, and the book.
    expect(calls().length - asked).toBe(3);
  });

  test("a run stops at its cost limit with what was made", async () => {
    const dry = await system.request("/runs", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ book_id: book, dry_run: true }),
    });
    const { cost } = (await dry.json()) as { cost: { low: number; high: number } };
    expect(calls()).toHaveLength(0);
    const maxCost = Math.ceil(cost.low / 2);
    const run = await finish({ options: { fresh: true, max_cost: maxCost } });
    expect(run.usage.cost).toBeLessThanOrEqual(maxCost);
    expect(["partial", "failed"]).toContain(run.status);
    expect(run.failures[0]?.code).toBe("max_cost_reached");
  });

  test("answers that are cut off, empty or malformed never become content and are asked for again", async () => {
    for (const kind of ["truncate", "empty", "invalid_json", "invalid_schema"] as const) {
      script({ times: 1, does: { kind } });
    }
    const run = await finish();
    expect(run.status).toBe("succeeded");
    const failed = (await system.store.ledger.ofRun("local", run.id)).filter((row) => row.state === "failed");
    expect(failed).toHaveLength(4);
    expect(failed.every((row) => row.answer === null && (row.outputTokens ?? 0) >= 0)).toBe(true);
  });

  test("a refusal is never content and is not asked for again", async () => {
    script({ times: 1, does: { kind: "refuse" } });
    const run = await finish();
    expect(run.status).toBe("partial");
    expect(run.failures).toEqual([expect.objectContaining({ code: "model_refused" })]);
    expect(new Set(calls().map((call) => call.request.digest)).size).toBe(calls().length);
  });

  /** The nth chapter of the body, from 0. */
  async function chapterAt(place: number) {
    const outlines = await system.store.books.outlines("local", book);
    const outline = outlines.filter(({ kind }) => kind === "body")[place];
    const chapter = outline && (await system.store.books.chapter("local", book, outline.index));
    if (!chapter) throw new Error(`There is no chapter ${place}.`);
    return chapter;
  }

  async function textOf(place: number): Promise<string> {
    return (await chapterAt(place)).text.slice(0, 60);
  }
});

interface Result {
  readonly complete: boolean;
  readonly recipes: Record<
    string,
    {
      readonly whole: unknown;
      readonly coverage: unknown;
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
