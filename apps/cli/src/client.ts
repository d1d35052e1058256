import { randomUUID } from "node:crypto";
import { openAsBlob } from "node:fs";
import { basename } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { z } from "zod";
import { CliError, EXIT } from "./cli-error.ts";
import { printable } from "./terminal.ts";
import {
  bookSchema,
  erasedSchema,
  explanationSchema,
  pageOf,
  problemSchema,
  resultSchema,
  runSchema,
  usageSchema,
  type WireBook,
  type WireExplanation,
  type WirePage,
  type WireResult,
  type WireRun,
  type WireUsage,
} from "./wire.ts";

export interface ClientOptions {
  /** Where the API is, without a path after its own. */
  readonly server: string;
  /** Null for a server that has no keys. */
  readonly key: string | null;
  /** Ends any call with the signal's reason. */
  readonly signal: AbortSignal;
}

export interface NewRun {
  readonly bookId: string;
  readonly recipes: readonly string[];
  /** Nano-dollars. */
  readonly maxCost: number | null;
  readonly fresh: boolean;
  readonly flex: boolean;
}

/** A Markdown file as the server names it. */
export interface MarkdownFile {
  readonly fileName: string;
  readonly markdown: string;
}

/** How long a server that is away or busy is asked again. A run that is being watched goes on meanwhile. */
const PATIENCE_MS = 3_000;
const WATCH_PATIENCE_MS = 120_000;
const RETRY_MS = 250;
const RETRY_CAP_MS = 5_000;
const CALL_TIMEOUT_MS = 30_000;
const UPLOAD_TIMEOUT_MS = 15 * 60_000;
/** A poll without advice from the server; advice counts up to the second figure. */
const POLL_MS = 1_000;
const POLL_CAP_MS = 10_000;
const BUSY = [429, 502, 503, 504];
const PAGE = 100;

interface Call {
  readonly method?: "GET" | "POST" | "DELETE";
  readonly path: string;
  readonly body?: FormData | string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly patienceMs?: number;
  readonly timeoutMs?: number;
}

/**
 * The HTTP API as the command line uses it. Every call can be repeated without harm (an upload of the same bytes is answered
 * with the same book, a run carries an idempotency key), so one that fails on its way is made again.
 */
export class Client {
  readonly #options: ClientOptions;
  readonly #base: URL;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#base = new URL(options.server.endsWith("/") ? options.server : `${options.server}/`);
  }

  async uploadBook(file: string): Promise<WireBook> {
    const form = new FormData();
    form.set("file", await openAsBlob(file), basename(file));
    const call = { method: "POST", path: "books", body: form, timeoutMs: UPLOAD_TIMEOUT_MS } as const;
    return this.#json(await this.#send(call), bookSchema);
  }

  books(after: string | null, limit: string): Promise<WirePage<WireBook>> {
    return this.#page("books/my", { after, limit }, bookSchema);
  }

  async book(id: string): Promise<WireBook> {
    return this.#json(await this.#send({ path: `books/${encodeURIComponent(id)}` }), bookSchema);
  }

  async startRun({ bookId, recipes, maxCost, fresh, flex }: NewRun): Promise<WireRun> {
    // An older server does not know the field.
    const tier = flex ? { service_tier: "flex" } : {};
    const body = { book_id: bookId, recipes, options: { max_cost: maxCost, fresh, ...tier } };
    const headers = { "content-type": "application/json", "idempotency-key": randomUUID() };
    const call = { method: "POST", path: "runs", body: JSON.stringify(body), headers } as const;
    return this.#json(await this.#send(call), runSchema);
  }

  runs(filter: Readonly<Record<string, string | null>>): Promise<WirePage<WireRun>> {
    return this.#page("runs", filter, runSchema);
  }

  async status(id: string): Promise<WireRun> {
    return this.#json(await this.#send({ path: `status/${encodeURIComponent(id)}` }), runSchema);
  }

  /** Asks where the run stands until `seen` answers false. `everyMs` null leaves the pace to the server. */
  async watch(id: string, everyMs: number | null, seen: (run: WireRun) => boolean): Promise<WireRun> {
    const call = { path: `status/${encodeURIComponent(id)}`, patienceMs: WATCH_PATIENCE_MS };
    for (;;) {
      const response = await this.#send(call);
      const run = await this.#json(response, runSchema);
      if (!seen(run)) return run;
      const advised = Math.min(retryAfterMs(response) ?? POLL_MS, POLL_CAP_MS);
      await delay(everyMs ?? advised, undefined, { signal: this.#options.signal });
    }
  }

  async act(id: string, action: "cancel" | "retry"): Promise<WireRun> {
    const call = { method: "POST", path: `runs/${encodeURIComponent(id)}/${action}` } as const;
    return this.#json(await this.#send(call), runSchema);
  }

  /** One page of a result: of one recipe, or the first of each. */
  async result(id: string, recipe: string | null, after: string | null): Promise<WireResult> {
    const query = queryOf({ recipe, after, limit: String(PAGE) });
    const call = { path: `runs/${encodeURIComponent(id)}/result${query}` };
    return this.#json(await this.#send(call), resultSchema);
  }

  async markdown(id: string, recipe: string | null): Promise<MarkdownFile> {
    const query = queryOf({ recipe, format: "md" });
    const response = await this.#send({ path: `runs/${encodeURIComponent(id)}/result${query}` });
    const named = /filename="?([^";]+)"?/.exec(response.headers.get("content-disposition") ?? "")?.[1];
    return { fileName: safeFileName(named) ?? `${recipe ?? "result"}.md`, markdown: await response.text() };
  }

  /** Why a request, given as JSON, would not be answered by what is kept. `user` null: the key's. */
  async explain(request: string, user: string | null): Promise<WireExplanation> {
    const headers = { "content-type": "application/json" };
    const path = `answers/explain${queryOf({ user })}`;
    return this.#json(await this.#send({ method: "POST", path, body: request, headers }), explanationSchema);
  }

  /** Removes texts of answers; how many calls they were of. */
  async eraseAnswers(which: Readonly<Record<string, string | null>>): Promise<number> {
    const call = { method: "DELETE", path: `answers${queryOf(which)}` } as const;
    return (await this.#json(await this.#send(call), erasedSchema)).erased;
  }

  async usage(query: Readonly<Record<string, string | null>>): Promise<WireUsage> {
    return this.#json(await this.#send({ path: `usage${queryOf(query)}` }), usageSchema);
  }

  async #page<Item>(
    path: string,
    query: Readonly<Record<string, string | null>>,
    item: z.ZodType<Item>,
  ): Promise<WirePage<Item>> {
    return this.#json(await this.#send({ path: `${path}${queryOf(query)}` }), pageOf(item));
  }

  async #json<Value>(response: Response, schema: z.ZodType<Value>): Promise<Value> {
    const parsed = schema.safeParse(await response.json().catch(() => undefined));
    if (parsed.success) return parsed.data;
    throw new CliError(`${this.#base.origin} does not answer like a Mythic server.`);
  }

  async #send(call: Call): Promise<Response> {
    const until = Date.now() + (call.patienceMs ?? PATIENCE_MS);
    for (let attempt = 0; ; attempt++) {
      const outcome = await this.#attempt(call);
      if (outcome instanceof Response && outcome.ok) return outcome;
      const waitMs = (outcome instanceof Response ? retryAfterMs(outcome) : null) ?? backOffMs(attempt);
      const mayPass = !(outcome instanceof Response) || BUSY.includes(outcome.status);
      if (!mayPass || Date.now() + waitMs > until) throw await this.#failure(outcome);
      await delay(waitMs, undefined, { signal: this.#options.signal });
    }
  }

  /** The response, or why there is none. */
  async #attempt({ method = "GET", path, body, headers, timeoutMs }: Call): Promise<Response | Error> {
    const { key, signal } = this.#options;
    signal.throwIfAborted();
    try {
      return await fetch(new URL(path, this.#base), {
        method,
        headers: { ...headers, ...(key === null ? {} : { authorization: `Bearer ${key}` }) },
        ...(body === undefined ? {} : { body }),
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs ?? CALL_TIMEOUT_MS)]),
      });
    } catch (error) {
      signal.throwIfAborted();
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  async #failure(outcome: Response | Error): Promise<CliError> {
    if (!(outcome instanceof Response))
      return new CliError(`The server at ${this.#base.origin} cannot be reached.`, { cause: outcome });
    const problem = problemSchema.safeParse(await outcome.json().catch(() => undefined));
    const { code, title, detail } = problem.data ?? {};
    // The server's own words name a header, which is no help on a command line.
    if (code === "unauthorized")
      return new CliError("This server asks for a key: set MYTHIC_KEY, or add --key.");
    if (code === "unknown_recipe")
      return new CliError(printable(`${title}. ${detail}`), { exitCode: EXIT.usage });
    const said = detail ?? title;
    if (said !== undefined) return new CliError(printable(said));
    return new CliError(`The server at ${this.#base.origin} answered with status ${outcome.status}.`);
  }
}

function queryOf(values: Readonly<Record<string, string | null>>): string {
  const given = Object.entries(values).filter((entry): entry is [string, string] => entry[1] !== null);
  return given.length === 0 ? "" : `?${new URLSearchParams(given)}`;
}

function backOffMs(attempt: number): number {
  return Math.min(RETRY_CAP_MS, RETRY_MS * 2 ** attempt);
}

function retryAfterMs(response: Response): number | null {
  const seconds = response.headers.get("retry-after");
  return seconds !== null && /^\d+$/.test(seconds) ? Number(seconds) * 1_000 : null;
}

/** Only what is a plain name of a Markdown file: a server must not choose where its answer is written. */
function safeFileName(name: string | undefined): string | null {
  return name !== undefined && /^[a-z0-9][a-z0-9-]{0,60}\.md$/.test(name) ? name : null;
}
