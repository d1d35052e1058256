import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type AnswersConfig, openConfiguredAnswers } from "@mythic/llm";
import { findRecipe } from "@mythic/recipes";
import { type Book, type Chapter, Dispatcher, type Role, type Run, type Store } from "@mythic/runs";
import { announceChanges, type Caching, openCaching } from "@mythic/runs/cache";
import { openStore } from "@mythic/runs/store";
import { openLocalWakeUps } from "@mythic/runs/wake-ups";
import { redisTimeoutMs } from "@mythic/testing/redis";
import { pino } from "pino";
import { z } from "zod";
import { makeApiKey } from "../src/api-key.ts";
import { describeRoutes } from "../src/openapi.ts";
import { ROUTES } from "../src/routes/index.ts";
import { type ApiOptions, type ApiParts, startApi } from "../src/start.ts";
import { bookSchema } from "../src/wire/book.ts";
import { runSchema } from "../src/wire/run.ts";
import { problemSchema } from "../src/wire/shared.ts";

const CACHE = { logLevel: "debug", answersTtlMs: 3_600_000 } as const;

const NO_MODEL: AnswersConfig = {
  model: null,
  upstreams: null,
  secret: null,
  encryptionKeys: [],
  reuseMs: 0,
  userLimits: { tokensPerDay: null, costPerDay: null },
  sharedBooks: new Set(),
};

export interface TestApi extends AsyncDisposable {
  readonly url: string;
  readonly store: Store;
  readonly dispatcher: Dispatcher;
  readonly caching: Caching;
  /** Where the store's file is. */
  readonly directory: string;
  /** Lines of the log, parsed. */
  readonly log: readonly Record<string, unknown>[];
  /** Makes a key and answers the headers that bring it. */
  key(user: string, role?: Role): Promise<{ readonly authorization: string; readonly id: string }>;
  close(): Promise<void>;
}

export interface TestApiOptions extends Partial<Omit<ApiParts, "config">> {
  readonly config?: Partial<ApiOptions>;
  /** Of the cache. Without it the API has no Redis, and caches in its memory alone. */
  readonly redisUrl?: string;
  /** Of that Redis. Unless told patient with the one that all share, and as in production with one of the test's own. */
  readonly commandTimeoutMs?: number;
  /** Works on the store of this one, and shares its keys in Redis. To be closed before it. */
  readonly beside?: TestApi;
  /** The endpoints that answer, and how; without it there is no model. */
  readonly models?: Partial<AnswersConfig>;
  /** Everything is read from the store. */
  readonly isUncached?: boolean;
  /** Looks at the store, below the cache, or puts something around it. */
  readonly wrapStore?: (store: Store) => Store;
}

/** The API on a free port, over an SQLite store of its own, without a worker: tests do the worker's part themselves. */
export async function startTestApi(options: TestApiOptions = {}): Promise<TestApi> {
  const {
    config,
    beside,
    redisUrl = null,
    commandTimeoutMs,
    isUncached,
    wrapStore = (store) => store,
    ...rest
  } = options;
  const { models, ...parts } = rest;
  const directory = beside?.directory ?? (await mkdtemp(join(tmpdir(), "mythic-api-")));
  const opened = wrapStore(options.store ?? (await openStore({ dataDir: directory })));
  const wakeUps = options.wakeUps ?? openLocalWakeUps();
  const log: Record<string, unknown>[] = [];
  const logger = pino({ level: "debug" }, { write: (line: string) => log.push(JSON.parse(line)) });
  const caching = await openCaching({
    config: {
      ...CACHE,
      isOn: isUncached !== true,
      redisUrl,
      timeoutMs: commandTimeoutMs ?? (await redisTimeoutMs(redisUrl)),
      namespace: beside?.caching.namespace ?? `test-${randomUUID()}`,
    },
    store: { dataDir: directory },
    log: logger,
    reads: true,
  });
  if (caching.redis !== null) await caching.cache?.ready(5_000);
  const store = announceChanges(opened, caching.cache);
  const dispatcher = new Dispatcher({ store, wakeUps, onError: () => undefined });
  const answers =
    models &&
    (await openConfiguredAnswers({ ...NO_MODEL, ...models }, { store, caching, ttlMs: CACHE.answersTtlMs }));
  const api = await startApi({
    wakeUps,
    dispatcher,
    model: null,
    logger,
    cache: caching.cache,
    cacheRedis: caching.redis,
    namespace: caching.namespace,
    ...(answers ? { answers } : {}),
    ...parts,
    store,
    config: { host: "127.0.0.1", port: 0, ...config },
  });
  let open = true;
  const close = async () => {
    if (!open) return;
    open = false;
    await api.close();
    await answers?.[Symbol.asyncDispose]();
    await wakeUps[Symbol.asyncDispose]();
    await caching[Symbol.asyncDispose]();
    await store[Symbol.asyncDispose]();
    if (beside === undefined) await rm(directory, { recursive: true, force: true });
    requireDocumented(log);
  };
  return {
    url: api.url,
    store,
    dispatcher,
    caching,
    directory,
    log,
    async key(user, role = "user") {
      const { key, id, sha256, lastFour } = makeApiKey();
      await store.keys.create({ id, user, role, sha256, lastFour, createdAt: new Date(), revokedAt: null });
      return { authorization: `Bearer ${key}`, id };
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** What is answered before a route is asked, or to whoever does not keep to HTTP. */
const OF_NO_ROUTE = ["malformed_request", "method_not_allowed", "expectation_failed"];
const GONE = 499;

/** Sees to it that every answer of a test, by status and code, is one that the document has for its route. */
function requireDocumented(log: readonly Record<string, unknown>[]): void {
  const { paths } = z.object({ paths: pathsSchema }).parse(describeRoutes(ROUTES));
  for (const { msg, method, path, status, code } of log) {
    if (msg !== "request" || status === GONE || OF_NO_ROUTE.includes(String(code))) continue;
    const verb = method === "HEAD" ? "get" : String(method).toLowerCase();
    const route = ROUTES.find((one) => one.method === verb && fits(one.path, String(path)));
    if (!route) continue;
    const described = paths[route.path.replace(/:(\w+)/g, "{$1}")]?.[verb]?.responses[String(status)];
    if (code === undefined ? described : described?.description.includes(`\`${String(code)}\``)) continue;
    throw new Error(`The document does not have ${verb} ${route.path}: ${String(status)} ${String(code)}.`);
  }
}

const pathsSchema = z.record(
  z.string(),
  z.record(z.string(), z.object({ responses: z.record(z.string(), z.object({ description: z.string() })) })),
);

function fits(routePath: string, path: string): boolean {
  return new RegExp(`^${routePath.replaceAll(".", "\\.").replace(/:\w+/g, "[^/]+")}/?$`, "i").test(path);
}

export type Headers = Readonly<Record<string, string>>;

/** A text that is a book, different for each number. */
export function textBook(number = 1): string {
  return `CHAPTER I\n\nThe sea was calm on day ${number}. Nobody rang the bell that evening.\n`;
}

export async function upload(
  api: TestApi,
  content: string | Uint8Array<ArrayBuffer>,
  headers: Headers = {},
): Promise<Response> {
  const form = new FormData();
  form.set("file", new Blob([content]), "book.txt");
  return await fetch(`${api.url}/books`, { method: "POST", body: form, headers });
}

export async function uploadedBook(api: TestApi, headers: Headers = {}, number = 1) {
  return bookSchema.parse(await (await upload(api, textBook(number), headers)).json());
}

export async function post(api: TestApi, path: string, body?: unknown, headers: Headers = {}) {
  const json = body === undefined ? {} : { body: JSON.stringify(body) };
  const type = body === undefined ? {} : { "content-type": "application/json" };
  return await fetch(`${api.url}${path}`, { method: "POST", headers: { ...type, ...headers }, ...json });
}

export async function startedRun(api: TestApi, bookId: string, headers: Headers = {}) {
  return runSchema.parse(await (await post(api, "/runs", { book_id: bookId }, headers)).json());
}

/** Reads a problem, and sees to it that it is a complete one. */
export async function problemOf(response: Response): Promise<z.infer<typeof problemSchema>> {
  const type = response.headers.get("content-type");
  if (!type?.startsWith("application/problem+json")) throw new Error(`No problem, but ${type}.`);
  const problem = problemSchema.parse(await response.json());
  if (problem.status !== response.status) throw new Error("The problem's status is not the answer's.");
  return problem;
}

const CHAPTER_TEXT =
  "The bell of the tower was cast in the year of the great flood, and everyone in the village knew its voice. " +
  "On calm days the keeper polished it. When fog came in from the sea, he rang it until the last boat was home. ";

/** What the parse step of a worker does: `count` chapters of plain text. */
export async function makeReady(api: TestApi, user: string, bookId: string, count = 3): Promise<Book> {
  const { store, dispatcher } = api;
  const step = await store.steps.claim(`${bookId}.parse`, "test", 60_000);
  if (!step) throw new Error("There is no parse step to claim.");
  const chapters: Chapter[] = Array.from({ length: count }, (_, index) => {
    const text = CHAPTER_TEXT.repeat(6).trim();
    const [id, title] = [`c${String(index + 1).padStart(4, "0")}`, `Chapter ${index + 1}`];
    const length = text.length;
    return { id, index, title, path: [title], kind: "body", start: index * length, length, text, notes: [] };
  });
  await store.books.saveChapters(user, bookId, step.fence, chapters);
  const characters = chapters.reduce((sum, { length }) => sum + length, 0);
  const parsed = { title: "The Bell", authors: ["A. Writer"], language: "en", warnings: [] };
  const value = {
    status: "ready",
    edition: step.fence,
    parsed: { ...parsed, chapters: count, characters },
  };
  await store.steps.complete(step.id, step.fence, { value, reusedAnswers: 0 });
  await dispatcher.advancer.advanceBook(user, bookId);
  const book = await store.books.get(user, bookId);
  if (book?.status !== "ready") throw new Error("The book is not ready.");
  return book;
}

/** What the parse step of a worker does with a file that cannot be used. */
export async function refuse(api: TestApi, user: string, bookId: string, code: string): Promise<void> {
  const step = await api.store.steps.claim(`${bookId}.parse`, "test", 60_000);
  if (!step) throw new Error("There is no parse step to claim.");
  const value = { status: "refused", error: { code, detail: "The contents are encrypted." } };
  await api.store.steps.complete(step.id, step.fence, { value, reusedAnswers: 0 });
  await api.dispatcher.advancer.advanceBook(user, bookId);
}

/** Does the run's steps as a worker does, offline, until none is left or `most` are done. */
export async function work(api: TestApi, user: string, runId: string, most = Number.POSITIVE_INFINITY) {
  const { store, dispatcher } = api;
  for (let done = 0; done < most; ) {
    const pending = (await store.steps.ofRun(user, runId)).filter((step) => step.state === "pending");
    if (pending.length === 0) return;
    for (const { id } of pending.slice(0, most - done)) {
      const step = await store.steps.claim(id, "test", 60_000);
      if (!step) continue;
      await dispatcher.advancer.advanceRun(user, runId);
      const run = await store.runs.get(user, runId);
      const value = run ? await madeBy(api, run, step.kind, step.unit) : null;
      await store.steps.complete(id, step.fence, { value, reusedAnswers: 0 });
      done++;
    }
    await dispatcher.advancer.advanceRun(user, runId);
  }
}

async function madeBy({ store }: TestApi, run: Run, kind: string, unit: string): Promise<unknown> {
  const recipe = findRecipe("summary");
  const book = { title: "The Bell", authors: ["A. Writer"], language: "en" };
  if (kind === "chapter") {
    const chapter = await store.books.chapter(run.user, run.bookId, Number(unit));
    return chapter && recipe?.chapter({ book, chapter, ask: null });
  }
  if (kind === "merge") {
    return await recipe?.merge({ book, title: "the whole book", whole: true, children: [], ask: null });
  }
  return {};
}
