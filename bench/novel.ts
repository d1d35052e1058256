import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { openStore } from "@mythic/runs/store";
import { buildEpub } from "@mythic/testing/books";
import { freePort } from "@mythic/testing/free-port";
import { freshDatabase, startMongo } from "@mythic/testing/mongo";
import { startProcess, type TestProcess } from "@mythic/testing/process";
import { startRedis } from "@mythic/testing/redis";
import { waitFor } from "@mythic/testing/wait";
import { cpuMs, median } from "./processes.ts";
import { schedulingBoundMs } from "./scheduling-bound.ts";

// How long a novel takes against a model that needs 200 ms an answer, compared with the shortest schedule of its calls. Once
// as one process on SQLite without Redis, once as API and two workers on MongoDB and Redis; eight steps at once in both.

const CALL_MS = 200;
const SLOTS = 8;
const USER = "local";
const root = join(import.meta.dirname, "..");

const { values } = parseArgs({ options: { rounds: { type: "string", default: "5" } } });
const rounds = Number(values.rounds);

interface Deployment {
  readonly name: string;
  readonly url: string;
  readonly processes: readonly TestProcess[];
  readonly mongodbUrl: string | null;
  readonly dataDir: string;
}

await using stack = new AsyncDisposableStack();
const dataDir = await mkdtemp(join(tmpdir(), "mythic-bench-"));
stack.defer(() => rm(dataDir, { recursive: true }));
const fake = stack.use(
  await startProcess(join(root, "packages/testing/src/fake-openai-main.ts"), {
    args: ["--latency", String(CALL_MS)],
    ready: /^http/,
  }),
);
const model = {
  OPENAI_API_KEY: "sk-bench",
  OPENAI_BASE_URL: fake.lines[0] ?? "",
  MYTHIC_MODEL: "gpt-5-mini",
};
const { name: bookName, bytes } = await novel();
console.log(`${bookName}; ${CALL_MS} ms a call, ${SLOTS} steps at once, ${rounds} rounds`);
console.log(
  "deployment                     | makespan median (min–max) | bound  | ratio | CPU ms a step | calls",
);
await measure(await embedded());
const cluster = await containers();
if (cluster) await measure(cluster);

async function novel(): Promise<{ name: string; bytes: Buffer }> {
  const corpus = process.env["MYTHIC_CORPUS"];
  if (corpus) {
    const name = "se_pride-and-prejudice.epub";
    return { name, bytes: await readFile(join(corpus, "epub", name)) };
  }
  const paragraph = "The tide came in over the flats and the keeper wrote down the hour. ".repeat(12);
  const chapters = Array.from({ length: 61 }, (_, at) => ({
    title: `Chapter ${at + 1}`,
    paragraphs: Array.from({ length: 12 }, (__, line) => `In hour ${at}.${line} ${paragraph}`),
  }));
  return {
    name: "a novel of 61 chapters made for this bench",
    bytes: await buildEpub({ title: "Tides", chapters }),
  };
}

async function embedded(): Promise<Deployment> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const env = {
    ...model,
    MYTHIC_DATA_DIR: dataDir,
    PORT: String(port),
    WORKER_CONCURRENCY: String(SLOTS),
    LOG_LEVEL: "warn",
  };
  const file = join(root, "apps/cli/src/main.ts");
  const served = stack.use(
    await startProcess(file, { args: ["serve"], env, ready: { url: `${url}/health/ready` } }),
  );
  return { name: "one process, SQLite, no Redis", url, processes: [served], mongodbUrl: null, dataDir };
}

async function containers(): Promise<Deployment | null> {
  const mongo = await startMongo();
  if (!mongo) return null;
  stack.use(mongo);
  const redis = stack.use(await startRedis({ args: ["--appendonly", "yes"] }));
  const mongodbUrl = freshDatabase(mongo.url);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const shared = { ...model, MONGODB_URL: mongodbUrl, REDIS_URL: redis.url, LOG_LEVEL: "info" };
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
  return { name: "API, 2 workers, MongoDB, Redis", url, processes, mongodbUrl, dataDir };
}

async function measure(deployment: Deployment): Promise<void> {
  const { url, processes } = deployment;
  await using store = await openStore({ mongodbUrl: deployment.mongodbUrl, dataDir: deployment.dataDir });
  const uploaded = await fetch(`${url}/books`, { method: "POST", body: new Uint8Array(bytes) });
  const { id: bookId } = (await uploaded.json()) as { id: string };
  await waitFor(async () => (await store.books.get(USER, bookId))?.status === "ready", { timeoutMs: 60_000 });
  const outlines = await store.books.outlines(USER, bookId);
  const makespans: number[] = [];
  const cpu: number[] = [];
  let bound = 0;
  let calls = 0;
  // The first round warms up and is not counted.
  for (let round = 0; round <= rounds; round++) {
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
    if (round === 0) continue;
    const steps = await store.steps.ofRun(USER, id);
    makespans.push((run.succeededAt?.getTime() ?? 0) - run.queuedAt.getTime());
    cpu.push((processes.reduce((sum, one) => sum + cpuMs(one.id), 0) - cpuBefore) / steps.length);
    bound = schedulingBoundMs(run, outlines, SLOTS, CALL_MS);
    calls = run.usage.calls;
  }
  const middle = median(makespans);
  const spread = `${middle} ms (${Math.min(...makespans)}–${Math.max(...makespans)})`;
  const ratio = (middle / bound).toFixed(3);
  console.log(
    `${deployment.name.padEnd(30)} | ${spread.padEnd(25)} | ${bound} | ${ratio} | ${median(cpu).toFixed(1).padStart(13)} | ${calls}`,
  );
}
