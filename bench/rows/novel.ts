import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { openStore } from "@mythic/runs/store";
import { buildEpub } from "@mythic/testing/books";
import { freePort } from "@mythic/testing/free-port";
import { freshDatabase } from "@mythic/testing/mongo";
import { startProcess, type TestProcess } from "@mythic/testing/process";
import { startRedis } from "@mythic/testing/redis";
import { waitFor } from "@mythic/testing/wait";
import type { Bench } from "../bench.ts";
import { type Environment, makeDataDir } from "../measuring/api.ts";
import { cpuMs } from "../measuring/process-cpu.ts";
import { schedulingBoundMs } from "../measuring/scheduling-bound.ts";
import { median } from "../measuring/statistics.ts";
import { atMost, BARE_MINIMUM, defineRow, type Measured, MYTHIC } from "../row.ts";
import { number } from "../table.ts";

const CALL_MS = 200;
const SLOTS = 8;
const CHAPTERS = 61;
const SMOKE_CHAPTERS = 3;
const USER = "local";
const root = join(import.meta.dirname, "../..");

const ALONE = "one process, SQLite, no Redis";
const CLUSTER = "API, 2 workers, MongoDB, Redis";

export const row = defineRow({
  name: "novel",
  measures: `How long a novel takes against a model that needs ${CALL_MS} ms an answer, as a multiple of the shortest schedule of its calls.`,
  how: `${SLOTS} steps at once. MYTHIC_CORPUS may point at a folder with the real novel (epub/se_pride-and-prejudice.epub); without it one of ${CHAPTERS} chapters is made. Bare minimum: that schedule, in ms.`,
  bars: {
    [`${ALONE}: makespan ÷ schedule`]: atMost(1.15),
    [`${ALONE}: CPU of a step, ms`]: null,
    [`${CLUSTER}: makespan ÷ schedule`]: atMost(1.15),
    [`${CLUSTER}: CPU of a step, ms`]: null,
  },
  async run(bench) {
    await using stack = new AsyncDisposableStack();
    const dataDir = stack.use(await makeDataDir());
    const fake = stack.use(
      await startProcess(join(root, "packages/testing/src/fake-openai-main.ts"), {
        args: ["--latency", String(CALL_MS)],
        ready: /^http/,
      }),
    );
    const environment = {
      MYTHIC_DATA_DIR: dataDir.path,
      OPENAI_API_KEY: "sk-bench",
      OPENAI_BASE_URL: fake.lines[0] ?? "",
      MYTHIC_MODEL: "gpt-5-mini",
    };
    const epub = await novel(bench);
    bench.progress(ALONE);
    const alone = await measure(bench, stack.use(await startAlone(environment)), epub);
    bench.progress(CLUSTER);
    const cluster = await startCluster(bench, environment);
    const clustered = cluster === null ? null : await measure(bench, stack.use(cluster), epub);
    return {
      [`${ALONE}: makespan ÷ schedule`]: makespans(alone),
      [`${ALONE}: CPU of a step, ms`]: stepCpu(alone),
      [`${CLUSTER}: makespan ÷ schedule`]: makespans(clustered),
      [`${CLUSTER}: CPU of a step, ms`]: stepCpu(clustered),
    };
  },
});

interface Deployment extends AsyncDisposable {
  readonly url: string;
  readonly processes: readonly TestProcess[];
  readonly mongodbUrl: string | null;
  readonly dataDir: string;
}

async function novel(bench: Bench): Promise<Uint8Array<ArrayBuffer>> {
  const count = bench.size(CHAPTERS, SMOKE_CHAPTERS);
  const corpus = process.env["MYTHIC_CORPUS"];
  if (corpus && count === CHAPTERS)
    return new Uint8Array(await readFile(join(corpus, "epub/se_pride-and-prejudice.epub")));
  const chapters = Array.from({ length: count }, (_, at) => ({
    title: `Chapter ${at + 1}`,
    paragraphs: Array.from({ length: 12 }, (__, part) => paragraphOf(at, part)),
  }));
  return new Uint8Array(await buildEpub({ title: "Tides", chapters }));
}

/** No sentence comes twice in a book, as whoever quotes one must be able to say which. */
function paragraphOf(chapter: number, part: number): string {
  return Array.from(
    { length: 12 },
    (_, line) =>
      `In watch ${chapter}, glass ${part}, the keeper saw the tide come in and wrote down ${line} ships.`,
  ).join(" ");
}

async function startAlone(environment: Environment): Promise<Deployment> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const served = await startProcess(join(root, "apps/cli/src/main.ts"), {
    args: ["serve"],
    env: { ...environment, PORT: String(port), WORKER_CONCURRENCY: String(SLOTS), LOG_LEVEL: "warn" },
    ready: { url: `${url}/health/ready` },
  });
  return {
    url,
    processes: [served],
    mongodbUrl: null,
    dataDir: environment["MYTHIC_DATA_DIR"] ?? "",
    [Symbol.asyncDispose]: () => served[Symbol.asyncDispose](),
  };
}

async function startCluster(bench: Bench, environment: Environment): Promise<Deployment | null> {
  const mongo = await bench.mongo();
  if (mongo === null) return null;
  await using stack = new AsyncDisposableStack();
  const redis = stack.use(await startRedis({ args: ["--appendonly", "yes"] }));
  const mongodbUrl = freshDatabase(mongo.url);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const shared = { ...environment, MONGODB_URL: mongodbUrl, REDIS_URL: redis.url, LOG_LEVEL: "info" };
  const api = await startProcess(join(root, "apps/api/src/main.ts"), {
    env: { ...shared, PORT: String(port) },
    ready: { url: `${url}/health/ready` },
  });
  const workers = await Promise.all(
    [1, 2].map(() =>
      startProcess(join(root, "apps/worker/src/main.ts"), {
        env: { ...shared, WORKER_CONCURRENCY: String(SLOTS / 2) },
        ready: /worker started/,
      }),
    ),
  );
  const processes = [api, ...workers].map((started) => stack.use(started));
  const kept = stack.move();
  return {
    url,
    processes,
    mongodbUrl,
    dataDir: environment["MYTHIC_DATA_DIR"] ?? "",
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

interface Round {
  readonly makespanMs: number;
  readonly boundMs: number;
  readonly stepCpuMs: number;
  readonly calls: number;
}

async function measure(
  bench: Bench,
  deployment: Deployment,
  epub: Uint8Array<ArrayBuffer>,
): Promise<readonly Round[]> {
  const { url, processes } = deployment;
  await using store = await openStore({ mongodbUrl: deployment.mongodbUrl, dataDir: deployment.dataDir });
  const uploaded = await fetch(`${url}/books`, { method: "POST", body: epub });
  const { id: bookId } = (await uploaded.json()) as { id: string };
  await waitFor(async () => (await store.books.get(USER, bookId))?.status === "ready", { timeoutMs: 60_000 });
  const outlines = await store.books.outlines(USER, bookId);
  return await bench.inRounds(async () => {
    const cpuBefore = processes.reduce((sum, one) => sum + cpuMs(one.id), 0);
    const accepted = await fetch(`${url}/runs`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ book_id: bookId, options: { fresh: true } }),
    });
    const { id } = (await accepted.json()) as { id: string };
    const run = await waitFor(
      async () => {
        const current = await store.runs.get(USER, id);
        return current?.succeededAt ? current : null;
      },
      { timeoutMs: 120_000, everyMs: 100, what: "the run to succeed" },
    );
    const steps = await store.steps.ofRun(USER, id);
    return {
      makespanMs: (run.succeededAt?.getTime() ?? 0) - run.queuedAt.getTime(),
      boundMs: schedulingBoundMs(run, outlines, SLOTS, CALL_MS),
      stepCpuMs: (processes.reduce((sum, one) => sum + cpuMs(one.id), 0) - cpuBefore) / steps.length,
      calls: run.usage.calls,
    };
  });
}

const NO_MONGO: Measured = { figures: [], leftOut: "no MongoDB" };

function makespans(rounds: readonly Round[] | null): Measured {
  if (rounds === null) return NO_MONGO;
  const { boundMs, calls } = rounds.at(-1) ?? { boundMs: Number.NaN, calls: Number.NaN };
  const makespanMs = median(rounds.map((round) => round.makespanMs));
  return {
    figures: [
      {
        contender: MYTHIC,
        samples: rounds.map((round) => round.makespanMs / round.boundMs),
        note: `${number(makespanMs)} ms, ${calls} calls`,
      },
      { contender: BARE_MINIMUM, samples: [1], note: `${boundMs} ms` },
    ],
  };
}

function stepCpu(rounds: readonly Round[] | null): Measured {
  if (rounds === null) return NO_MONGO;
  return { figures: [{ contender: MYTHIC, samples: rounds.map(({ stepCpuMs }) => stepCpuMs) }] };
}
