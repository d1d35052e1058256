import type { IncomingMessage, ServerResponse } from "node:http";
import { type Caller, requireAdmin } from "./authenticate.ts";
import { PATIENCE_MS, withPatience } from "./deadline.ts";
import { ClientGone, ERRORS, Problem } from "./errors.ts";
import { problemAnswer, toProblem } from "./report-error.ts";
import { recordOf } from "./request-record.ts";
import type { Route, Services } from "./routes/route.ts";
import { type Answer, send } from "./send.ts";

/** A request that has come in, and what is there to answer it. */
interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** The route that a request is for, with the parameters in its address, which nobody has checked yet. */
interface Asked extends Exchange {
  readonly route: Route;
  readonly path: unknown;
  readonly query: unknown;
}

/** Answers a request by its route, with a problem if need be: who asks, whether they may so often, what they get. Never rejects. */
export async function answerRoute(services: Services, asked: Asked): Promise<void> {
  const { request, response, route } = asked;
  try {
    requireHost(request);
    const work = answerOf(services, asked);
    const patienceMs = PATIENCE_MS + (route.longerMs?.(request) ?? 0);
    send(request, response, route.hasDeadline === false ? await work : await withPatience(work, patienceMs));
  } catch (error) {
    report(services, { request, response, error });
  }
}

/** @throws Problem when it is not clear which host was asked */
export function requireHost(request: IncomingMessage): void {
  if (request.headers.host === undefined && request.httpVersion === "1.1") {
    throw new Problem("malformed_request", "HTTP/1.1 needs a Host header.");
  }
  // Whoever is in between may have looked at another one than we do.
  if (countHosts(request) > 1) {
    throw new Problem("malformed_request", "There is more than one Host header.");
  }
}

/** Node keeps the first of them alone, and to have all headers sorted out anew takes long. */
function countHosts({ rawHeaders }: IncomingMessage): number {
  let count = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at];
    if (name?.length === 4 && name.toLowerCase() === "host") count++;
  }
  return count;
}

async function answerOf(services: Services, { request, route, path, query }: Asked): Promise<Answer> {
  const record = recordOf(request);
  record.route = route.name;
  const caller = route.access === "public" ? null : await identified(route, services, request);
  if (caller) {
    record.fields.user = caller.user;
    if (route.access === "admin") requireAdmin(caller);
    await services.limits.take(caller, route.limits, record);
  }
  return await route.answer({ services, request, record, path, query, caller });
}

function identified(route: Route, services: Services, request: IncomingMessage): Promise<Caller> {
  const identifying = services.identify(request);
  return route.hasDeadline === false ? withPatience(identifying) : identifying;
}

/** Answers with what went wrong. */
export function report(
  { logger }: Services,
  { request, response, error }: Exchange & { readonly error: unknown },
): void {
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
}
