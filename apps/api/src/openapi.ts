import { z } from "zod";
import {
  createDocument,
  type ZodOpenApiContentObject,
  type ZodOpenApiOperationObject,
  type ZodOpenApiPathsObject,
  type ZodOpenApiResponsesObject,
} from "zod-openapi";
import { ERRORS, type ErrorCode } from "./errors.ts";
import type { Access, Content, Route } from "./routes/route.ts";
import { problemSchema } from "./wire/shared.ts";

/** Errors that routes can answer with because of who may ask, and because of what they work with. */
const ERRORS_OF_ACCESS: Readonly<Record<Access, readonly ErrorCode[]>> = {
  public: ["internal_error"],
  user: [
    "unauthorized",
    "invalid_key",
    "no_keys",
    "forbidden_origin",
    "too_many_attempts",
    "rate_limited",
    "internal_error",
    "store_unavailable",
  ],
  admin: [
    "unauthorized",
    "invalid_key",
    "no_keys",
    "admin_required",
    "forbidden_origin",
    "too_many_attempts",
    "rate_limited",
    "internal_error",
    "store_unavailable",
  ],
};

/** Describes the routes as OpenAPI 3.1. */
export function describeRoutes(routes: readonly Route[]) {
  const paths: ZodOpenApiPathsObject = {};
  for (const route of routes) {
    const path = route.path.replace(/:(\w+)/g, "{$1}");
    paths[path] = { ...paths[path], [route.method]: operationOf(route) };
  }
  return createDocument({
    openapi: "3.1.1",
    info: {
      title: "Mythic",
      version: "0.1.0",
      description:
        "Books go in, study material comes out. Errors are `application/problem+json` with a stable `code`; ids sort by time; times are ISO 8601; money is in nano-dollars. Clients have to tolerate values and fields that they do not know.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/" }],
    components: {
      securitySchemes: {
        key: { type: "http", scheme: "bearer", description: "A key that `mythic key create` has made." },
      },
    },
    paths,
  });
}

function operationOf(route: Route): ZodOpenApiOperationObject {
  const { method, path, summary, pathSchema, querySchema, headers, request } = route;
  const tag = path.split("/")[1]?.replace(".json", "") ?? "";
  return {
    operationId: operationId(method, path),
    summary,
    tags: [tag],
    security: route.access === "public" ? [] : [{ key: [] }],
    requestParams: {
      ...(isEmpty(pathSchema) ? {} : { path: pathSchema }),
      ...(isEmpty(querySchema) ? {} : { query: querySchema }),
      ...(headers ? { header: headers } : {}),
    },
    ...(request ? { requestBody: { required: true, content: contentOf(request) } } : {}),
    responses: { ...answersOf(route), ...errorsOf(route) },
  };
}

function operationId(method: string, path: string): string {
  const words = path.split(/[^A-Za-z0-9]+/).filter((word) => word !== "");
  return [method, ...words].map((word, at) => (at === 0 ? word : capital(word))).join("");
}

function capital(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

function isEmpty(schema: z.ZodObject): boolean {
  return Object.keys(schema.shape).length === 0;
}

function contentOf(content: Content): ZodOpenApiContentObject {
  return Object.fromEntries(
    Object.entries(content).map(([type, body]) => [
      type,
      {
        schema: body instanceof z.ZodType ? body : { type: "string" as const, description: body.description },
      },
    ]),
  );
}

function answersOf(route: Route): ZodOpenApiResponsesObject {
  const answers = Object.entries(route.answers).map(([status, { description, content }]) => {
    return [status, { description, ...(content ? { content: contentOf(content) } : {}) }] as const;
  });
  return Object.fromEntries(answers);
}

function errorsOf(route: Route): ZodOpenApiResponsesObject {
  const known: readonly ErrorCode[] = isEmpty(route.pathSchema) ? [] : ["not_found"];
  const queried: readonly ErrorCode[] = isEmpty(route.querySchema) ? [] : ["invalid_request"];
  const codes = new Set([...route.errors, ...known, ...queried, ...ERRORS_OF_ACCESS[route.access]]);
  const byStatus = Map.groupBy(codes, (code) => ERRORS[code].status);
  const responses = [...byStatus].map(([status, same]) => {
    const description = same.map((code) => `\`${code}\`: ${ERRORS[code].title}.`).join("\n\n");
    return [
      String(status),
      { description, content: { "application/problem+json": { schema: problemSchema } } },
    ];
  });
  return Object.fromEntries(responses);
}
