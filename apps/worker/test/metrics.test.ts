import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { Advancer, isTerminal, newId, type Run, type Store, submitBook, submitRun } from "@mythic/runs";
import { openCaching, Reads } from "@mythic/runs/cache";
import { openStore } from "@mythic/runs/store";
import { freePort } from "@mythic/testing/free-port";
import { startProcess } from "@mythic/testing/process";
import { PATIENT_MS, startRedis, type TestRedis } from "@mythic/testing/redis";
import { waitFor } from "@mythic/testing/wait";

const MAIN = join(import.meta.dirname, "../src/main.ts");
const USER = "ada";
/** Far below every TTL: what is seen within it was told. */
const TOLD_MS = 10_000;
const SILENT = { debug: () => undefined, info: () => undefined, warn: () => undefined };

let stack: AsyncDisposableStack;
let redis: TestRedis;
let dataDir: string;
let store: Store;
let figures: () => Promise<ReadonlyMap<string, number>>;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  redis = stack.use(await startRedis());
  dataDir = await mkdtemp(join(tmpdir(), "mythic-metrics-"));
  stack.defer(() => rm(dataDir, { recursive: true, force: true }));
  store = stack.use(await openStore({ dataDir }));
});

afterEach(() => stack.disposeAsync());

/** The worker as it is run: from its `main.ts`. */
async function startWorker(): Promise<void> {
  const port = await freePort();
  const env = { MYTHIC_DATA_DIR: dataDir, CACHE_REDIS_URL: redis.url, WORKER_PORT: String(port) };
  stack.use(await startProcess(MAIN, { env, ready: /worker started/ }));
  figures = async () => parse(await (await fetch(`http://127.0.0.1:${port}/metrics`)).text());
}

/** Samples by name and labels. Whatever is in no form of Prometheus' text format is an error. */
function parse(text: string): ReadonlyMap<string, number> {
  const lines = text.split("\n").filter((line) => line !== "" && !/^# (HELP|TYPE) \w+ /.test(line));
  return new Map(
    lines.map((line) => {
      const [, name, value] = /^([a-z_]+(?:\{(?:\w+="[^"\\]*",?)*\})?) (\S+)$/.exec(line) ?? [];
      if (name === undefined || Number.isNaN(Number(value))) throw new Error(`What is this? ${line}`);
      return [name, Number(value)];
    }),
  );
}

/** A run of a text of two chapters, as the API takes it. */
async function submit(): Promise<Run> {
  const sentence = "The keeper climbed the stairs and lit the lamp before the fog came in. ";
  const content = (async function* () {
    yield Buffer.from([1, 2].map((at) => `CHAPTER ${at}\n\n${sentence.repeat(30)}\n`).join("\n\n"));
  })();
  const submission = { store, advancer: new Advancer({ store, onPending: async () => undefined }) };
  const bookId = newId("book");
  const stored = await store.books.storeBytes(USER, bookId, content);
  await submitBook(submission, USER, { id: bookId, ...stored, format: "text", fileName: null });
  const options = { maxCost: null, fresh: false };
  return await submitRun(submission, USER, { bookId, recipes: ["summary"], options, model: null });
}

describe("a worker with a port", () => {
  test("tells how many steps of each kind it ended, and how long they took", async () => {
    await submit();
    await startWorker();
    const count = (kind: string) => `mythic_step_seconds_count{kind="${kind}",state="done"}`;
    const seen = await waitFor(async () => {
      const now = await figures();
      return now.get(count("finish")) === 1 && now;
    });
    expect([seen.get(count("parse")), seen.get(count("chapter"))]).toEqual([1, 2]);
    expect(seen.get('mythic_step_seconds_sum{kind="chapter",state="done"}')).toBeGreaterThan(0);
    expect(seen.get('mythic_step_seconds_bucket{le="+Inf",kind="chapter",state="done"}')).toBe(2);
  });

  test("tells what it saved in the cache, and whether it can ask Redis", async () => {
    const run = await submit();
    await startWorker();
    await waitFor(async () => isTerminal((await store.runs.get(USER, run.id))?.status ?? run.status));
    const seen = await waitFor(async () => {
      const now = await figures();
      return (now.get('mythic_cache_saves_total{family="run-status",tier="redis"}') ?? 0) > 0 && now;
    });
    expect(seen.get('mythic_redis_breaker_state{role="cache"}')).toBe(0);

    await redis.stop();
    await waitFor(async () => (await figures()).get('mythic_redis_breaker_state{role="cache"}') !== 0);
    expect((await figures()).get('mythic_redis_breaker_opens_total{role="cache"}')).toBeGreaterThan(0);
  });
});

test("what a worker changes is seen by the next poll of a process that has it in its memory", async () => {
  const run = await submit();
  const config = {
    isOn: true,
    redisUrl: redis.url,
    namespace: null,
    timeoutMs: PATIENT_MS,
    logLevel: "debug",
    answersTtlMs: 1,
  } as const;
  const { cache } = stack.use(await openCaching({ config, store: { dataDir }, log: SILENT, reads: true }));
  expect(await cache?.ready(5_000)).toBe(true);
  const reads = new Reads(store, cache);
  const poll = () => reads.run(USER, run.id);
  await waitFor(async () => (await poll()).in === "memory");

  await startWorker();
  await waitFor(async () => isTerminal((await store.runs.get(USER, run.id))?.status ?? run.status));
  await waitFor(async () => (await poll()).value?.status === "succeeded", {
    timeoutMs: TOLD_MS,
    what: "the poll to show it",
  });
});
