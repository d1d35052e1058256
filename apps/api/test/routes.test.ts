import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { redisUrl } from "@mythic/testing/redis";
import { z } from "zod";
import { ROUTES } from "../src/routes/index.ts";
import type { Route } from "../src/routes/route.ts";
import { makeReady, problemOf, startedRun, startTestApi, type TestApi, uploadedBook } from "./test-api.ts";

const documentSchema = z.object({
  openapi: z.string(),
  paths: z.record(
    z.string(),
    z.record(
      z.string(),
      z.looseObject({
        operationId: z.string(),
        security: z.array(z.unknown()),
        responses: z.record(z.string(), z.unknown()),
        parameters: z.array(z.object({ in: z.string(), name: z.string() })).optional(),
      }),
    ),
  ),
  components: z.object({ schemas: z.record(z.string(), z.unknown()) }),
});

const named = (routes: readonly Route[]) =>
  routes.map((route) => [`${route.method.toUpperCase()} ${route.path}`, route] as const);

describe("the routes and their document", () => {
  let api: TestApi;
  let document: z.infer<typeof documentSchema>;
  beforeAll(async () => {
    api = await startTestApi();
    document = documentSchema.parse(await (await fetch(`${api.url}/openapi.json`)).json());
  });
  afterAll(() => api.close());

  test("every route is in the document, and nothing else is", () => {
    const described = Object.entries(document.paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method} ${path.replace(/\{(\w+)\}/g, ":$1")}`),
    );
    expect(described.sort()).toEqual(ROUTES.map(({ method, path }) => `${method} ${path}`).sort());
    expect(document.openapi).toMatch(/^3\.1\./);
  });

  test.each(named(ROUTES))("%s is answered by a handler of its own", async (_name, route) => {
    const path = route.path.replace(/:\w+/g, "x");
    const response = await fetch(`${api.url}${path}`, { method: route.method.toUpperCase() });
    expect(response.status).not.toBe(405);
    if (response.status === 404) {
      expect((await problemOf(response)).detail).not.toBe("There is nothing at this address.");
    }
  });

  test.each(named(ROUTES))("%s describes its parameters and its errors", (_name, route) => {
    const operation = document.paths[route.path.replace(/:(\w+)/g, "{$1}")]?.[route.method];
    const inPath = operation?.parameters?.filter((parameter) => parameter.in === "path") ?? [];
    expect(inPath.map(({ name }) => `:${name}`)).toEqual(route.path.match(/:\w+/g) ?? []);
    expect(operation?.security.length).toBe(route.access === "public" ? 0 : 1);
    expect(Object.keys(operation?.responses ?? {})).toContain(route.access === "public" ? "500" : "401");
  });

  test("every route is explained in docs/http-api.md, and nothing else is", async () => {
    const text = await readFile(join(import.meta.dirname, "../../../docs/http-api.md"), "utf8");
    const explained = [...text.matchAll(/^### `([A-Z]+) (\S+)`$/gm)].map(
      ([, method, path]) => `${method} ${path}`,
    );
    const own = ROUTES.filter(({ path }) => path !== "/docs/:file");
    expect(explained.sort()).toEqual(own.map(({ method, path }) => `${method.toUpperCase()} ${path}`).sort());
  });

  test("each operation has a name of its own", () => {
    const ids = Object.values(document.paths).flatMap((path) =>
      Object.values(path).map(({ operationId }) => operationId),
    );
    expect(new Set(ids).size).toBe(ids.length);
  });

  test("every reference in the document leads somewhere", () => {
    const references = JSON.stringify(document).match(/#\/components\/schemas\/\w+/g) ?? [];
    expect(references.length).toBeGreaterThan(10);
    for (const reference of references) {
      expect(document.components.schemas[reference.split("/").at(-1) ?? ""]).toBeDefined();
    }
  });

  test("the document is shown as a page that needs no other server", async () => {
    const page = await fetch(`${api.url}/docs`);
    expect(page.headers.get("content-type")).toBe("text/html; charset=utf-8");
    const policy = page.headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toMatch(/https?:|unsafe-eval|script-src[^;]*unsafe-inline/);
    const html = await page.text();
    expect(html).not.toMatch(/https?:\/\/|<script>/);
    for (const [, path] of html.matchAll(/(?:src|href)="([^"]+)"/g)) {
      const file = await fetch(`${api.url}${path}`);
      expect(file.status).toBe(200);
      expect(file.headers.get("content-type")).not.toContain("json");
      await file.bytes();
    }
  });
});

const PRIVATE = ROUTES.filter((route) => route.access !== "public");
const WITH_ID = PRIVATE.filter((route) => route.path.includes(":"));

describe("between users", () => {
  let api: TestApi;
  let mine: { readonly book: string; readonly run: string };
  let stranger: { readonly authorization: string };
  beforeAll(async () => {
    api = await startTestApi({ redisUrl: await redisUrl() });
    const { authorization } = await api.key("owner", "admin");
    const book = await uploadedBook(api, { authorization });
    const run = await startedRun(api, book.id, { authorization });
    await makeReady(api, "owner", book.id);
    mine = { book: book.id, run: run.id };
    // Whatever can be cached of the owner is, when the stranger comes.
    for (let time = 0; time < 2; time++) {
      for (const route of PRIVATE.filter(({ method }) => method === "get")) {
        await call(route, { authorization });
      }
    }
    // Not even an admin sees what is someone else's.
    stranger = { authorization: (await api.key("stranger", "admin")).authorization };
  });
  afterAll(() => api.close());

  const call = (route: Route, headers: Record<string, string>, init: RequestInit = {}) => {
    const id = route.path.startsWith("/books") ? mine.book : mine.run;
    const path = route.path.replace(/:\w+/, id);
    return fetch(`${api.url}${path}`, { method: route.method.toUpperCase(), headers, ...init });
  };

  test.each(named(PRIVATE))("%s without a key is a 401", async (_name, route) => {
    const response = await call(route, {});
    expect(response.status).toBe(401);
    expect((await problemOf(response)).code).toBe("unauthorized");
  });

  test.each(named(WITH_ID))("%s of someone else is a 404, as if it did not exist", async (_name, route) => {
    const foreign = await problemOf(await call(route, stranger));
    const missing = await fetch(
      `${api.url}${route.path.replace(/:\w+/, route.path.startsWith("/books") ? "book_0" : "run_0")}`,
      { method: route.method.toUpperCase(), headers: stranger },
    );
    const { request_id: _one, ...seen } = foreign;
    const { request_id: _two, ...nothing } = await problemOf(missing);
    expect(seen).toEqual(nothing);
    expect(seen.status).toBe(404);
  });

  const LISTS = PRIVATE.filter((route) => route.method === "get" && !route.path.includes(":"));

  test.each(named(LISTS))("%s shows nothing of someone else", async (_name, route) => {
    const shown = await (await call(route, stranger)).text();
    expect(shown.length).toBeGreaterThan(0);
    for (const foreign of [mine.book, mine.run, "owner"]) expect(shown).not.toContain(foreign);
    const empty = route.path === "/usage" ? { days: [] } : { data: [] };
    if (route.access === "user") expect(JSON.parse(shown)).toMatchObject(empty);
  });

  test.each(named(PRIVATE.filter((route) => route.access === "admin")))(
    "%s is for admins alone",
    async (_name, route) => {
      const { authorization } = await api.key("someone");
      const response = await call(route, { authorization });
      expect(response.status).toBe(403);
      expect((await problemOf(response)).code).toBe("admin_required");
    },
  );

  test("a run of someone else's book is a 404", async () => {
    const response = await fetch(`${api.url}/runs`, {
      method: "POST",
      headers: { ...stranger, "content-type": "application/json" },
      body: JSON.stringify({ book_id: mine.book }),
    });
    expect(response.status).toBe(404);
  });

  test("GET /cache/keys/:key tells an admin about a value of someone else, and not the value", async () => {
    const key = `${api.caching.namespace}:c:{u.owner}:v:run-status.1:${mine.run}`;
    const response = await fetch(`${api.url}/cache/keys/${encodeURIComponent(key)}`, { headers: stranger });
    const { key: _key, scope, ...told } = (await response.json()) as Record<string, unknown>;
    expect(scope).toBe("u.owner");
    expect(JSON.stringify(told)).not.toMatch(new RegExp(`${mine.run}|${mine.book}|owner|queued|running`));
  });

  test("none of it has changed anything", async () => {
    expect(await api.store.books.get("owner", mine.book)).toMatchObject({ status: "ready" });
    expect(await api.store.runs.get("owner", mine.run)).toMatchObject({ status: "queued" });
  });
});
