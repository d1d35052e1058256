import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { z } from "zod";
import type { Answer } from "../send.ts";
import { NOTHING, publicRoute, type Route } from "./route.ts";

const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Mythic API</title>
    <link rel="stylesheet" href="/docs/swagger-ui.css">
    <link rel="icon" type="image/png" href="/docs/favicon-32x32.png">
  </head>
  <body>
    <div id="swagger-ui"></div>
    <script src="/docs/swagger-ui-bundle.js"></script>
    <script src="/docs/start.js"></script>
  </body>
</html>
`;

const START = `SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
});
`;

/** Files of swagger-ui-dist that the page needs, with their types. */
const FILES = {
  "swagger-ui.css": "text/css; charset=utf-8",
  "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
  "favicon-32x32.png": "image/png",
} as const;

const document = publicRoute(
  {
    method: "get",
    path: "/openapi.json",
    summary: "This description",
    pathSchema: NOTHING,
    querySchema: NOTHING,
    answers: {
      200: { description: "OpenAPI 3.1.", content: { "application/json": z.looseObject({}) } },
    },
    errors: [],
  },
  async ({ services }) => ({
    status: 200,
    headers: { "cache-control": "no-cache" },
    raw: { type: "application/json; charset=utf-8", content: services.openApi },
  }),
);

const page = publicRoute(
  {
    method: "get",
    path: "/docs",
    summary: "This description as a page",
    pathSchema: NOTHING,
    querySchema: NOTHING,
    answers: { 200: { description: "A page.", content: { "text/html": { description: "HTML." } } } },
    errors: [],
  },
  async () => served("text/html; charset=utf-8", PAGE),
);

const file = publicRoute(
  {
    method: "get",
    path: "/docs/:file",
    summary: "Files of the page",
    pathSchema: z.object({
      file: z.enum(
        ["start.js", "swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"],
        "There is no such file.",
      ),
    }),
    querySchema: NOTHING,
    answers: { 200: { description: "The file.", content: { "*/*": { description: "The file." } } } },
    errors: [],
  },
  async ({ path }) => {
    if (path.file === "start.js") return served("text/javascript; charset=utf-8", START);
    return served(FILES[path.file], await readFile(join(folder(), path.file)));
  },
);

function served(type: string, content: string | Buffer): Answer {
  const headers = { "cache-control": "no-cache", "content-security-policy": POLICY };
  return { status: 200, headers, raw: { type, content } };
}

function folder(): string {
  const require = createRequire(import.meta.url);
  return dirname(require.resolve("swagger-ui-dist/package.json"));
}

export const DOCS_ROUTES: readonly Route[] = [document, page, file];
