import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";

/** One request as the server saw it. */
interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly authorization: string | undefined;
  readonly body: string;
}

export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: unknown;
}

export interface ScriptedApi extends AsyncDisposable {
  readonly url: string;
  readonly seen: readonly SeenRequest[];
}

export const BOOK = {
  id: "book_00000000000000000000000001",
  status: "ready",
  format: "epub",
  sha256: "1a9b".repeat(16),
  file_name: "lamp.epub",
  title: "The Lamp",
  authors: ["A. Keeper"],
  chapter_count: 2,
  error: null,
  created_at: "2026-01-01T00:00:00.000Z",
};

export const RUN = {
  id: "run_00000000000000000000000001",
  book_id: BOOK.id,
  recipes: ["summary"],
  options: { max_cost: null, fresh: false },
  method: "model",
  model: "a-model",
  status: "succeeded",
  stage: "done",
  counts: { total: 4, completed: 4, failed: 0 },
  usage: {
    calls: 3,
    input_tokens: 900,
    cached_tokens: 0,
    output_tokens: 90,
    cost: 1_230_000,
    reused_answers: 1,
  },
  failures: [],
  error: null,
  queued_at: "2026-01-01T00:00:00.000Z",
};

function result(chapter: string, next: string | null) {
  const summary = { whole: { paragraph: "Light." }, chapters: [{ title: chapter }], next };
  return json({
    run_id: RUN.id,
    status: RUN.status,
    complete: true,
    method: RUN.method,
    recipes: { summary },
  });
}

/** Answers by `METHOD /path`; a function may answer differently each time. */
export type Script = Readonly<Record<string, Reply | ((request: SeenRequest) => Reply)>>;

export function json(body: unknown, status = 200): Reply {
  return { status, body };
}

/** What a server answers when all goes well; what `script` names is answered otherwise. */
export function usual(script: Script = {}): Script {
  return {
    "POST /books": json(BOOK, 201),
    [`GET /books/${BOOK.id}`]: json(BOOK),
    "GET /books/my": json({ data: [BOOK], has_more: false, next: null }),
    "GET /runs": json({ data: [], has_more: false, next: null }),
    "POST /runs": json({ ...RUN, status: "queued" }, 202),
    [`GET /status/${RUN.id}`]: json(RUN),
    [`GET /runs/${RUN.id}/result`]: ({ query }) =>
      query.get("format") === "md"
        ? {
            status: 200,
            headers: {
              "content-type": "text/markdown",
              "content-disposition": 'inline; filename="summary.md"',
            },
            body: "# The Lamp\n",
          }
        : query.get("after") === null
          ? result("One", "0")
          : result("Two", null),
    ...script,
  };
}

/** A real HTTP server that answers by script and writes down what it was asked. */
export async function startScriptedApi(script: Script): Promise<ScriptedApi> {
  const seen: SeenRequest[] = [];
  const server = createServer((incoming, response) => {
    void read(incoming).then((request) => {
      seen.push(request);
      const planned = script[`${request.method} ${request.path}`];
      const missing: Reply = {
        status: 404,
        body: { title: "Not found", detail: "There is no such thing.", code: "not_found" },
      };
      answer(response, typeof planned === "function" ? planned(request) : (planned ?? missing));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The system gave no port.");
  return {
    url: `http://127.0.0.1:${address.port}`,
    seen,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

async function read(incoming: IncomingMessage): Promise<SeenRequest> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk);
  const url = new URL(incoming.url ?? "/", "http://localhost");
  return {
    method: incoming.method ?? "",
    path: url.pathname,
    query: url.searchParams,
    authorization: incoming.headers.authorization,
    body: Buffer.concat(chunks).toString("utf8"),
  };
}

function answer(response: ServerResponse, reply: Reply): void {
  const text = typeof reply.body === "string" ? reply.body : JSON.stringify(reply.body);
  response.writeHead(reply.status, { "content-type": "application/json", ...reply.headers }).end(text);
}
