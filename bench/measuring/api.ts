import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildEpub } from "@mythic/testing/books";
import { freePort } from "@mythic/testing/free-port";
import { startProcess } from "@mythic/testing/process";

const root = join(import.meta.dirname, "../..");

export type Environment = Readonly<Record<string, string>>;

/** So high that nothing is refused; the check itself is made all the same. */
export const RATE_LIMITS = JSON.stringify(
  Object.fromEntries(
    ["reads", "writes", "uploads", "runs", "completions"].map((policy) => [policy, "1000000000/min"]),
  ),
);

/** The API as a process of its own. */
export interface ApiProcess extends AsyncDisposable {
  readonly id: number;
  readonly url: string;
}

export async function startApi(
  environment: Environment,
  nodeFlags: readonly string[] = [],
): Promise<ApiProcess> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const started = await startProcess(join(root, "apps/api/src/main.ts"), {
    env: { ...environment, PORT: String(port) },
    nodeFlags,
    ready: { url: `${url}/health/ready` },
  });
  return { id: started.id, url, [Symbol.asyncDispose]: () => started[Symbol.asyncDispose]() };
}

/** A folder for a store, removed in the end. */
export async function makeDataDir(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "mythic-bench-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

/** Makes a key, as an operator does: on the command line. */
export async function createKey(
  environment: Environment,
  user: string,
  role: "user" | "admin",
): Promise<string> {
  const args = ["key", "create", "--user", user, "--role", role];
  await using made = await startProcess(join(root, "apps/cli/src/main.ts"), { args, env: environment });
  const [key = ""] = await made.line(/^myth_\S+/);
  await made.ended();
  return key;
}

/** One user of the API. */
export class Client {
  readonly #url: string;
  readonly #key: string;

  constructor(url: string, key: string) {
    this.#url = url;
    this.#key = key;
  }

  get headers(): Readonly<Record<string, string>> {
    return { authorization: `Bearer ${this.#key}` };
  }

  /** @throws Error when the answer is none of success */
  async ask(
    method: "GET" | "POST" | "DELETE",
    path: string,
    body?: Uint8Array<ArrayBuffer> | string,
    type?: string,
  ): Promise<Response> {
    const headers = { ...this.headers, ...(type === undefined ? {} : { "content-type": type }) };
    const response = await fetch(`${this.#url}${path}`, { method, headers, ...(body ? { body } : {}) });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return response;
  }

  /** Uploads a small book of so many chapters and gives its id. */
  async uploadBook(title: string, chapters: number): Promise<string> {
    const bytes = await buildEpub({
      title,
      chapters: Array.from({ length: chapters }, (_, at) => ({
        title: `Chapter ${at + 1}`,
        paragraphs: ["The tide came in over the flats, and the keeper wrote down the hour."],
      })),
    });
    const response = await this.ask("POST", "/books", new Uint8Array(bytes));
    return ((await response.json()) as { readonly id: string }).id;
  }

  /** Starts a run of a book and gives its id. */
  async startRun(bookId: string): Promise<string> {
    const response = await this.ask("POST", "/runs", JSON.stringify({ book_id: bookId }), "application/json");
    return ((await response.json()) as { readonly id: string }).id;
  }
}
