import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Step, Store } from "@mythic/runs";
import { openStore } from "@mythic/runs/store";
import { sampleEpub } from "@mythic/testing/books";
import { type FakeOpenAi, startFakeOpenAi } from "@mythic/testing/fake-openai";
import { freePort } from "@mythic/testing/free-port";
import { startProcess, type TestProcess } from "@mythic/testing/process";
import { waitFor } from "@mythic/testing/wait";
import { type WireRun as Run, runSchema } from "../../src/wire.ts";
import { COMPILED } from "../mythic.ts";

const API = join(import.meta.dirname, "../../../api/src/main.ts");
const WORKER = join(import.meta.dirname, "../../../worker/src/main.ts");
/** Of the user that a system without keys has. */
const LOCAL_USER = "local";

export interface SystemOptions {
  /** Null for SQLite in a directory of the system's own. */
  readonly mongodbUrl: string | null;
  /** Null for a system without Redis. */
  readonly redisUrl: string | null;
  readonly workers: number;
  /** Before each answer of the model. */
  readonly latencyMs?: number;
  readonly env?: Readonly<Record<string, string>>;
}

/** API and workers run from their `main.ts`, as in production, with a model that is a server speaking its protocol. */
export interface System extends AsyncDisposable {
  readonly url: string;
  readonly model: FakeOpenAi;
  readonly workers: TestProcess[];
  /** The system's own store, to look into. */
  readonly store: Store;
  startWorker(): Promise<TestProcess>;
  request(path: string, init?: RequestInit): Promise<Response>;
  /** Uploads the sample book and submits a run of it; resolves with the accepted run. */
  submit(body?: Record<string, unknown>): Promise<Run>;
  /** Uploads the sample book and resolves once it is parsed. */
  readBook(): Promise<string>;
  run(id: string): Promise<Run>;
  /** Polls until the run has one of the states. */
  until(id: string, statuses: readonly string[], timeoutMs?: number): Promise<Run>;
  steps(id: string): Promise<readonly Step[]>;
}

export async function startSystem(options: SystemOptions): Promise<System> {
  const stack = new AsyncDisposableStack();
  const dataDir = await mkdtemp(join(tmpdir(), "mythic-system-"));
  stack.defer(() => rm(dataDir, { recursive: true, force: true }));
  const model = stack.use(await startFakeOpenAi({ latencyMs: options.latencyMs ?? 0 }));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const env = {
    MYTHIC_DATA_DIR: dataDir,
    ...(options.mongodbUrl === null ? {} : { MONGODB_URL: options.mongodbUrl }),
    ...(options.redisUrl === null ? {} : { REDIS_URL: options.redisUrl }),
    OPENAI_API_KEY: "sk-test",
    OPENAI_BASE_URL: model.baseUrl,
    MYTHIC_MODEL: "gpt-5-mini",
    HOST: "127.0.0.1",
    ...COMPILED,
    ...options.env,
  };
  const workers: TestProcess[] = [];
  const startWorker = async () => {
    const worker = stack.use(await startProcess(WORKER, { env, ready: /worker started/ }));
    workers.push(worker);
    return worker;
  };
  stack.use(
    await startProcess(API, { env: { ...env, PORT: String(port) }, ready: { url: `${url}/health/ready` } }),
  );
  for (let count = 0; count < options.workers; count++) await startWorker();
  const store = stack.use(await openStore({ mongodbUrl: options.mongodbUrl, dataDir }));

  const request = (path: string, init?: RequestInit) => fetch(`${url}${path}`, init);
  const run = async (id: string) => runSchema.parse(await (await request(`/runs/${id}`)).json());
  const upload = async () => {
    const answer = await request("/books", { method: "POST", body: await readFile(sampleEpub()) });
    return ((await answer.json()) as { id: string }).id;
  };
  return {
    url,
    model,
    workers,
    store,
    startWorker,
    request,
    run,
    readBook: async () => {
      const id = await upload();
      const what = "the book to be ready";
      await waitFor(async () => (await store.books.get(LOCAL_USER, id))?.status === "ready", {
        timeoutMs: 20_000,
        what,
      });
      return id;
    },
    submit: async (body = {}) => {
      const headers = { "content-type": "application/json" };
      const bookId = body["book_id"] ?? (await upload());
      const answer = await request("/runs", {
        method: "POST",
        headers,
        body: JSON.stringify({ ...body, book_id: bookId }),
      });
      if (answer.status !== 202) throw new Error(`The run was not accepted: ${await answer.text()}`);
      return runSchema.parse(await answer.json());
    },
    until: async (id, statuses, timeoutMs = 60_000) => {
      const what = `the run to be ${statuses.join(" or ")}`;
      return waitFor(
        async () => {
          const current = await run(id);
          return statuses.includes(current.status) && current;
        },
        { timeoutMs, everyMs: 50, what },
      );
    },
    steps: (id) => store.steps.ofRun(LOCAL_USER, id),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

export const ENDED = ["succeeded", "partial", "failed", "cancelled"];
