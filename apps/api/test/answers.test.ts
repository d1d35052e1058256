import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { Upstream, Upstreams } from "@mythic/llm";
import { redisUrl } from "@mythic/testing/redis";
import { z } from "zod";
import { ROUTES } from "../src/routes/index.ts";
import {
  makeReady,
  post,
  refuse,
  startedRun,
  startTestApi,
  type TestApi,
  textBook,
  upload,
  uploadedBook,
  work,
} from "./test-api.ts";

const contentSchema = z.record(z.string(), z.object({ schema: z.record(z.string(), z.unknown()) }));
const documentSchema = z.object({
  paths: z.record(
    z.string(),
    z.record(
      z.string(),
      z.object({ responses: z.record(z.string(), z.object({ content: contentSchema.optional() })) }),
    ),
  ),
  components: z.object({ schemas: z.record(z.string(), z.unknown()) }),
});

interface Asked {
  readonly method: string;
  /** As the document has it. */
  readonly path: string;
  readonly response: Response;
}

describe("what the document says of answers", () => {
  let api: TestApi;
  let document: z.infer<typeof documentSchema>;
  let asked: readonly Asked[];
  beforeAll(async () => {
    // Nobody is asked there.
    const upstream = new Upstream({
      name: "none",
      baseUrl: "http://127.0.0.1:1/v1",
      apiKey: "k",
      models: ["m"],
    });
    api = await startTestApi({
      redisUrl: await redisUrl(),
      models: { upstreams: new Upstreams([upstream]) },
    });
    document = documentSchema.parse(await (await fetch(`${api.url}/openapi.json`)).json());
    asked = await askEverything(api);
  });
  afterAll(() => api.close());

  /** The document's own schema, as something that checks. */
  function checkOf(schema: Readonly<Record<string, unknown>>): z.ZodType {
    const whole = JSON.stringify({ ...schema, $defs: document.components.schemas });
    return z.fromJSONSchema(JSON.parse(whole.replaceAll("#/components/schemas/", "#/$defs/")));
  }

  test("is that of every answer, to the last field", async () => {
    for (const { method, path, response } of asked) {
      const name = `${method} ${path} ${response.status}`;
      const described = document.paths[path]?.[method]?.responses[response.status];
      if (!described) throw new Error(`${name} is not described.`);
      const type = response.headers.get("content-type")?.split(";")[0] ?? null;
      const { schema } = described.content?.[type ?? ""] ?? described.content?.["*/*"] ?? {};
      if (type === null) {
        expect([name, described.content]).toEqual([name, undefined]);
      } else if (!schema) {
        throw new Error(`${name} is not described as ${type}.`);
      } else if (type.endsWith("json")) {
        const checked = checkOf(schema).safeParse(await response.json());
        expect([name, checked.error?.issues ?? []]).toEqual([name, []]);
      }
    }
  });

  test("is shown by an answer of each route in each of its good states", () => {
    const seen = new Set(asked.map(({ method, path, response }) => `${method} ${path} ${response.status}`));
    const described = ROUTES.flatMap(({ method, path, answers }) =>
      Object.keys(answers).map((status) => `${method} ${path.replace(/:(\w+)/g, "{$1}")} ${status}`),
    );
    expect(described.filter((name) => !seen.has(name))).toEqual([]);
  });
});

/** Every route, in as many of its states as there are. */
async function askEverything(api: TestApi): Promise<readonly Asked[]> {
  const asked: Asked[] = [];
  const ask = async (method: string, path: string, asking: Promise<Response>) => {
    const response = await asking;
    asked.push({ method, path, response: response.clone() });
    return response;
  };
  const get = (path: string, at: string, headers = {}) =>
    ask("get", path, fetch(`${api.url}${at}`, { headers }));

  const { id } = await uploadedBook(api, {}, 1);
  const refused = await uploadedBook(api, {}, 2);
  await refuse(api, "local", refused.id, "drm_protected");
  await ask("post", "/books", upload(api, textBook(3)));
  await ask("post", "/books", upload(api, textBook(3)));
  await ask("post", "/books", upload(api, "%PDF-1.7"));
  await ask("post", "/runs", post(api, "/runs", { book_id: id, dry_run: true }));
  await makeReady(api, "local", id);
  await ask("post", "/runs", post(api, "/runs", { book_id: id, dry_run: true }));
  await ask("post", "/runs", post(api, "/runs", { book_id: id }));
  await ask("post", "/runs", post(api, "/runs", { book_id: refused.id }));
  await ask("post", "/runs", post(api, "/runs", { book_id: "book_0" }));
  await ask("post", "/runs", post(api, "/runs", { recipes: [] }));

  const run = await startedRun(api, id);
  await api.store.steps.claim(`${run.id}.summary.chapter.0000`, "test", 60_000);
  const half = await startedRun(api, id);
  await work(api, "local", half.id, 1);
  const done = await startedRun(api, id);
  await work(api, "local", done.id);
  for (const { id: runId } of [half, done]) {
    await get("/status/{run_id}", `/status/${runId}`);
    const shown = await get("/runs/{id}", `/runs/${runId}`);
    const tag = { "if-none-match": shown.headers.get("etag") ?? "" };
    await get("/runs/{id}", `/runs/${runId}`, tag);
    await get("/status/{run_id}", `/status/${runId}`, tag);
    await get("/runs/{id}/result", `/runs/${runId}/result`);
    await get("/runs/{id}/result", `/runs/${runId}/result?format=md`);
    await get("/runs/{id}/result", `/runs/${runId}/result?recipe=quiz`);
  }
  for (const { id: runId } of [run, half, done]) {
    await ask("post", "/runs/{id}/cancel", post(api, `/runs/${runId}/cancel`));
    await ask("post", "/runs/{id}/retry", post(api, `/runs/${runId}/retry`));
  }
  const key = `${api.caching.namespace}:c:{u.local}:v:run-status.1:${half.id}`;
  await get("/cache/keys/{key}", `/cache/keys/${encodeURIComponent(key)}`);
  await get("/cache/keys/{key}", "/cache/keys/nothing");
  await get("/cache/stats", "/cache/stats");
  for (const query of ["family=book", "family=nothing", "all=false"]) {
    await ask("delete", "/cache", fetch(`${api.url}/cache?${query}`, { method: "DELETE" }));
  }
  await get("/usage", "/usage");
  await get("/usage", "/usage?from=tomorrow");
  for (const query of ["all=true", "all=false"]) {
    await ask("delete", "/answers", fetch(`${api.url}/answers?${query}`, { method: "DELETE" }));
  }
  const request = { model: "m", messages: [{ role: "user", content: "Hello." }] };
  await ask("post", "/answers/explain", post(api, "/answers/explain", request));
  await ask("post", "/answers/explain", post(api, "/answers/explain", {}));
  await get("/metrics", "/metrics");
  await get("/books/my", "/books/my?limit=2");
  await get("/books/my", "/books/my?limit=x");
  await get("/runs", "/runs");
  await get("/runs", "/runs?after=x");
  for (const bookId of [id, refused.id, "nothing"]) await get("/books/{id}", `/books/${bookId}`);
  for (let time = 0; time < 2; time++) {
    await ask("delete", "/books/{id}", fetch(`${api.url}/books/${id}`, { method: "DELETE" }));
  }
  await ask("post", "/runs/{id}/retry", post(api, `/runs/${half.id}/retry`));
  for (const path of ["/health/live", "/health/ready", "/health/redis", "/openapi.json", "/docs"]) {
    await get(path, path);
  }
  await get("/docs/{file}", "/docs/start.js");
  await get("/docs/{file}", "/docs/stop.js");
  return asked;
}
