import type { IncomingMessage, RequestListener } from "node:http";
import type { Queue } from "bullmq";
import express, { type Express, type Request, type RequestHandler, type Response } from "express";
import { answerRoute, report, requireHost } from "./answer-route.ts";
import { BOARD_PATH, createBoard } from "./board.ts";
import { Problem } from "./errors.ts";
import { createOpenAi, OPENAI_PATH } from "./openai/router.ts";
import { logRequest } from "./request-log.ts";
import { ROUTES } from "./routes/index.ts";
import type { Services } from "./routes/route.ts";
import { STATUS } from "./routes/status.ts";

export interface AppOptions {
  readonly services: Services;
  /** What Bull Board shows; null without Redis. */
  readonly queue: Queue | null;
  readonly boardWrite: boolean;
}

/**
 * The way of a request: its log, then its route. A poll goes past Express, which would take more time for it than the answer itself:
 * it is what clients ask for most.
 */
export function createApp(options: AppOptions): RequestListener {
  const { services } = options;
  const express = createExpress(options);
  const { logger, metrics, slowMs } = services;
  const log = { logger, figures: metrics.http, slowMs };
  return (request, response) => {
    logRequest(request, response, log);
    const path = polled(request);
    if (path === null) express(request, response);
    else void answerRoute(services, { request, response, route: STATUS, path, query: {} });
  };
}

/** As nearly all write it who poll. Written otherwise, with a query or an escape, Express finds the same route. */
const POLL = /^\/status\/([\w-]+)$/;

function polled({ method, url = "" }: IncomingMessage): { readonly run_id: string } | null {
  const id = method === "GET" ? POLL.exec(url)?.[1] : undefined;
  return id === undefined ? null : { run_id: id };
}

/** Everything that has an address: the routes, Bull Board, and a problem for whatever is left. */
function createExpress({ services, queue, boardWrite }: AppOptions): Express {
  const app = express();
  app.disable("x-powered-by");
  app.set("etag", false);
  app.set("query parser", "simple");
  app.set("trust proxy", false);

  const haveHost: RequestHandler = (request, _response, next) => {
    requireHost(request);
    next();
  };
  // First, as all others would be looked at before it for each call that is passed on.
  app.use(OPENAI_PATH, haveHost, createOpenAi(services));
  for (const route of ROUTES) {
    app[route.method](route.path, (request, response) =>
      answerRoute(services, { request, response, route, path: request.params, query: request.query }),
    );
  }
  app.use(haveHost);
  for (const [path, allowed] of allowedMethods()) app.all(path, refuseMethod(allowed));
  app.use(BOARD_PATH, createBoard({ services, queue, write: boardWrite }));
  app.use(() => {
    throw new Problem("not_found", "There is nothing at this address.");
  });
  // Express knows an error handler by its four parameters.
  app.use((error: unknown, request: Request, response: Response, _next: unknown) => {
    report(services, { request, response, error });
  });
  return app;
}

function allowedMethods(): Map<string, readonly string[]> {
  const byPath = Map.groupBy(ROUTES, (route) => route.path);
  return new Map(
    [...byPath].map(([path, routes]) => {
      const methods = routes.map((route) => route.method.toUpperCase());
      return [path, methods.includes("GET") ? [...methods, "HEAD"] : methods];
    }),
  );
}

function refuseMethod(allowed: readonly string[]): RequestHandler {
  return () => {
    const allow = allowed.join(", ");
    throw new Problem("method_not_allowed", `Allowed here: ${allow}.`, { headers: { allow } });
  };
}
