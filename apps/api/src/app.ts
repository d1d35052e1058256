import type { Queue } from "bullmq";
import express, { type Express, type Request, type RequestHandler, type Response } from "express";
import { type Caller, requireAdmin } from "./authenticate.ts";
import { BOARD_PATH, createBoard } from "./board.ts";
import { PATIENCE_MS, withPatience } from "./deadline.ts";
import { ClientGone, ERRORS, Problem } from "./errors.ts";
import { problemAnswer, toProblem } from "./report-error.ts";
import { logRequest } from "./request-log.ts";
import { type RequestRecord, recordOf } from "./request-record.ts";
import { ROUTES } from "./routes/index.ts";
import type { Route, Services } from "./routes/route.ts";
import { type Answer, send } from "./send.ts";

export interface AppOptions {
  readonly services: Services;
  /** What Bull Board shows; null without Redis. */
  readonly queue: Queue | null;
  readonly boardWrite: boolean;
}

/** The way of a request: headers and log, its route, Bull Board, and whatever is left to report. */
export function createApp({ services, queue, boardWrite }: AppOptions): Express {
  const app = express();
  app.disable("x-powered-by");
  app.set("etag", false);
  app.set("query parser", "simple");
  app.set("trust proxy", false);

  app.use(prepare(services));
  for (const route of ROUTES) app[route.method](route.path, answerRoute(route, services));
  for (const [path, allowed] of allowedMethods()) app.all(path, refuseMethod(allowed));
  app.use(BOARD_PATH, createBoard({ services, queue, write: boardWrite }));
  app.use(() => {
    throw new Problem("not_found", "There is nothing at this address.");
  });
  app.use(reportError(services));
  return app;
}

function prepare({ logger, metrics, slowMs }: Services): RequestHandler {
  return (request, response, next) => {
    logRequest(request, response, { logger, figures: metrics.http, slowMs });
    if (request.headers.host === undefined && request.httpVersion === "1.1") {
      throw new Problem("malformed_request", "HTTP/1.1 needs a Host header.");
    }
    // Whoever is in between may have looked at another one than we do.
    if ((request.headersDistinct["host"]?.length ?? 0) > 1) {
      throw new Problem("malformed_request", "There is more than one Host header.");
    }
    next();
  };
}

function answerRoute(route: Route, services: Services): RequestHandler {
  const name = `${route.method.toUpperCase()} ${route.path}`;
  return async (request, response) => {
    const record = recordOf(request);
    record.route = name;
    const work = answerAs(route, services, { request, record });
    const patienceMs = PATIENCE_MS + (route.longerMs?.(request) ?? 0);
    send(request, response, route.hasDeadline === false ? await work : await withPatience(work, patienceMs));
  };
}

interface Arrived {
  readonly request: Request;
  readonly record: RequestRecord;
}

async function answerAs(route: Route, services: Services, { request, record }: Arrived): Promise<Answer> {
  const caller = route.access === "public" ? null : await identified(route, services, request);
  if (caller) {
    record.fields.user = caller.user;
    if (route.access === "admin") requireAdmin(caller);
    await services.limits.take(caller, route.limits, record);
  }
  return await route.answer({
    services,
    request,
    record,
    path: request.params,
    query: request.query,
    caller,
  });
}

function identified(route: Route, services: Services, request: Request): Promise<Caller> {
  const identifying = services.identify(request);
  return route.hasDeadline === false ? withPatience(identifying) : identifying;
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

function reportError({ logger }: Services) {
  // Express knows an error handler by its four parameters.
  return (error: unknown, request: Request, response: Response, _next: unknown): void => {
    if (error instanceof ClientGone || request.socket.destroyed) {
      response.destroy();
      return;
    }
    const problem = toProblem(error);
    const { id, fields } = recordOf(request);
    fields.code = problem.code;
    if (ERRORS[problem.code].status >= 500) {
      logger.error({ err: problem.cause ?? problem, req_id: id, code: problem.code }, "request failed");
    }
    if (response.headersSent) response.destroy();
    else send(request, response, problemAnswer(problem, id));
  };
}
