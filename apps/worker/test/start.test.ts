import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { createStepModel, type Model, openAnswers, Upstream, Upstreams } from "@mythic/llm";
import {
  Advancer,
  isTerminal,
  newId,
  type Run,
  STEP_POLICY,
  type StepPolicy,
  type Store,
  submitBook,
  submitRun,
} from "@mythic/runs";
import { openStore } from "@mythic/runs/store";
import { openLocalWakeUps } from "@mythic/runs/wake-ups";
import { startFakeOpenAi } from "@mythic/testing/fake-openai";
import { waitFor } from "@mythic/testing/wait";
import { pino } from "pino";
import { type RunningWorker, startWorker } from "../src/start.ts";

const USER = "ada";
const MODEL = "gpt-5-mini";

let stack: AsyncDisposableStack;
let store: Store;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), "mythic-start-"));
  stack.defer(() => rm(directory, { recursive: true }));
  store = stack.use(await openStore({ dataDir: directory }));
});

afterEach(async () => {
  await stack.disposeAsync();
});

function start(model: Model | null, concurrency: number, policy: Partial<StepPolicy> = {}): RunningWorker {
  const wakeUps = stack.use(openLocalWakeUps());
  const worker = startWorker({
    ...{ store, wakeUps, model, concurrency, drainMs: 0 },
    logger: pino({ level: "silent" }),
    policy: { ...STEP_POLICY, ...policy },
  });
  stack.defer(() => worker.close());
  return worker;
}

/** A model behind an endpoint, without Redis. */
function modelAt(baseUrl: string, callsAtOnce?: number): Model {
  const upstream = new Upstream({ name: "fake", baseUrl, apiKey: "k", models: [MODEL] });
  const { answers } = stack.use(
    openAnswers({
      upstreams: new Upstreams([upstream]),
      ledger: store.ledger,
      secret: "a secret of the tests, which is long enough",
      redis: null,
      namespace: "test",
      family: null,
      ttlMs: 3_600_000,
      ...(callsAtOnce === undefined ? {} : { callsAtOnce }),
    }),
  );
  return createStepModel({ answers, reuseMs: 0 });
}

/** A run of a text of so many chapters, as the API takes it. */
async function submit(model: string | null, chapters = 2, fileName: string | null = null): Promise<Run> {
  const sentence = "The keeper climbed the stairs and lit the lamp before the fog came in. ";
  const text = Array.from({ length: chapters }, (_, at) => `CHAPTER ${at + 1}\n\n${sentence.repeat(30)}\n`);
  const submission = { store, advancer: new Advancer({ store, onPending: async () => undefined }) };
  const id = newId("book");
  const content = (async function* () {
    yield Buffer.from(text.join("\n\n"));
  })();
  const stored = await store.books.storeBytes(USER, id, content);
  await submitBook(submission, USER, { id, ...stored, format: "text", fileName });
  const options = { maxCost: null, fresh: false };
  return await submitRun(submission, USER, { bookId: id, recipes: ["summary"], options, model });
}

async function ended(id: string): Promise<Run> {
  return await waitFor(
    async () => {
      const run = await store.runs.get(USER, id);
      return run && isTerminal(run.status) && run;
    },
    { what: "the run to end" },
  );
}

describe("a worker", () => {
  test("a book that says no title is called by its file's name", async () => {
    start(null, 1);
    const { bookId, id } = await submit(null, 2, "the lamp.v2.txt");
    await ended(id);
    expect((await store.books.get(USER, bookId))?.title).toBe("the lamp.v2");
  });

  test("takes a book to its result, and leaves no file behind", async () => {
    const copies = async () => (await readdir(tmpdir())).filter((name) => name.startsWith("mythic-parse-"));
    const before = await copies();
    start(null, 2);
    const run = await ended((await submit(null)).id);
    expect(run).toMatchObject({ status: "succeeded", counts: { total: 3, completed: 3, failed: 0 } });
    const left = (await copies()).filter((name) => !before.includes(name));
    // Others on this machine may parse too, and clear up as well.
    await waitFor(async () => !(await copies()).some((name) => left.includes(name)));
  });

  test("that has no model ends a run that needs one, and says why", async () => {
    start(null, 2, { retryBaseMs: 1, maxAttempts: 2 });
    const run = await ended((await submit(MODEL)).id);
    expect(run).toMatchObject({ status: "failed", error: { code: "model_not_configured" } });
    expect(run.usage.calls).toBe(0);
  });

  test("that is asked to wait by the model keeps all of its steps for later, at no attempt's cost", async () => {
    const fake = stack.use(await startFakeOpenAi());
    fake.script({ times: 1, does: { kind: "status", status: 429, headers: { "retry-after": "4" } } });
    start(modelAt(fake.baseUrl, 1), 1);
    const { id } = await submit(MODEL, 3);
    const chapters = async () =>
      (await store.steps.ofRun(USER, id)).filter(({ postponed }) => postponed !== null);
    const waiting = await waitFor(async () => {
      const postponed = await chapters();
      return postponed.length === 3 && postponed;
    });
    expect(fake.calls()).toHaveLength(1);
    for (const step of waiting) {
      expect(step).toMatchObject({ state: "pending", attempts: 0, owner: null, error: null });
      expect(step.postponed?.code).toMatch(/^model_(?:rate_limited|busy)$/);
    }
    expect(await ended(id)).toMatchObject({ status: "succeeded" });
    const [refused, ...others] = fake.calls();
    expect(others).toHaveLength(4);
    for (const call of others)
      expect(call.arrivedAt - (refused?.arrivedAt ?? 0)).toBeGreaterThanOrEqual(4_000);
  });

  test("takes a step ahead of its one call slot, and sends one call at a time", async () => {
    const fake = stack.use(await startFakeOpenAi());
    fake.script({ times: 1, does: { kind: "hang" } });
    const model = modelAt(fake.baseUrl, 1);
    const worker = start(model, 1);
    const { id } = await submit(MODEL, 3);
    const running = async () =>
      (await store.steps.ofRun(USER, id)).filter((step) => step.state === "running");
    await waitFor(async () => (await running()).length === 2, { what: "a step at work and one ahead" });
    await waitFor(() => fake.calls().length > 0, { what: "the call" });
    expect(fake.calls()).toHaveLength(1);
    await worker.close();
    expect(await running()).toEqual([]);
    start(model, 1);
    expect(await ended(id)).toMatchObject({ status: "succeeded" });
    for (const step of await store.steps.ofRun(USER, id)) expect(step.attempts).toBe(0);
  });

  test("that stops hands back what it is at, at no cost, and another goes on with it", async () => {
    const fake = stack.use(await startFakeOpenAi());
    fake.script({ times: 1, does: { kind: "hang" } });
    const model = modelAt(fake.baseUrl);
    const first = start(model, 1);
    const { id } = await submit(MODEL, 1);
    await waitFor(() => fake.calls().length === 1, { what: "the call" });
    await first.close();
    const [step] = await store.steps.ofRun(USER, id);
    expect(step).toMatchObject({ state: "pending", attempts: 0, crashes: 0, handbacks: 1 });
    start(model, 1);
    expect(await ended(id)).toMatchObject({ status: "succeeded" });
  });
});
