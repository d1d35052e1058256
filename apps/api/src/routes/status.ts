import type { IncomingMessage } from "node:http";
import { isTerminal, type Run } from "@mythic/runs";
import { notFound } from "../errors.ts";
import type { Answer } from "../send.ts";
import { runSchema, wireRun } from "../wire/run.ts";
import { runPath, statusPath } from "./parameters.ts";
import { NOTHING, type Route, type Services, userRoute } from "./route.ts";

const ANSWERS = {
  200: {
    description: "The run. One that failed is an answer like any other.",
    content: { "application/json": runSchema },
  },
  304: { description: "It has not changed since the answer whose ETag came in If-None-Match." },
};

/** When to ask again: often while things are about to move, less once it is clear that it takes a while. */
function retryAfterSeconds(run: Run, now: number): number {
  const ageMs = now - run.queuedAt.getTime();
  if (ageMs < 15_000) return 1;
  return ageMs < 120_000 ? 2 : 5;
}

/** A run as an answer; one that is live says when to ask again. */
export function runAnswer(run: Run, status: number, headers: Readonly<Record<string, string>> = {}): Answer {
  const live = !isTerminal(run.status);
  const answer = {
    etag: etagOf(run),
    "cache-control": "private, no-cache",
    ...(live ? { "retry-after": String(retryAfterSeconds(run, Date.now())) } : {}),
    ...headers,
  };
  return status === 304 ? { status, headers: answer } : { status, headers: answer, json: wireRun(run) };
}

function etagOf(run: Run): string {
  return `W/"${run.revision}"`;
}

function knows(request: IncomingMessage, run: Run): boolean {
  const tags = request.headers["if-none-match"]?.split(",").map((tag) => tag.trim()) ?? [];
  const etag = etagOf(run);
  return tags.some((tag) => tag === "*" || tag === etag || tag === etag.slice(2));
}

async function answerRun(
  services: Services,
  user: string,
  id: string,
  request: IncomingMessage,
): Promise<Answer> {
  const run = await services.store.runs.get(user, id);
  if (!run) throw notFound("run");
  return runAnswer(run, knows(request, run) ? 304 : 200);
}

const status = userRoute(
  {
    method: "get",
    path: "/status/:run_id",
    summary: "Ask where a run stands",
    pathSchema: statusPath,
    querySchema: NOTHING,
    answers: ANSWERS,
    errors: [],
  },
  async ({ services, user, path, request, note }) => {
    note({ run_id: path.run_id });
    return await answerRun(services, user, path.run_id, request);
  },
);

const show = userRoute(
  {
    method: "get",
    path: "/runs/:id",
    summary: "Show a run",
    pathSchema: runPath,
    querySchema: NOTHING,
    answers: ANSWERS,
    errors: [],
  },
  async ({ services, user, path, request, note }) => {
    note({ run_id: path.id });
    return await answerRun(services, user, path.id, request);
  },
);

export const STATUS_ROUTES: readonly Route[] = [status, show];
