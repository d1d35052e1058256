import { isTerminal } from "@mythic/runs";
import type { Found, RunView } from "@mythic/runs/cache";
import { notFound } from "../errors.ts";
import { cached } from "../found.ts";
import { wantedWaitSeconds } from "../prefer.ts";
import type { Answer } from "../send.ts";
import { runSchema, wireRun } from "../wire/run.ts";
import { preferHeader, runPath, statusPath } from "./parameters.ts";
import { NOTHING, type Route, type UserContext, userRoute } from "./route.ts";

const ANSWERS = {
  200: {
    description: "The run. One that failed is an answer like any other.",
    content: { "application/json": runSchema },
  },
  304: { description: "It has not changed since the answer whose ETag came in If-None-Match." },
};

/** When to ask again: often while things are about to move, less once it is clear that it takes a while. */
function retryAfterSeconds(queuedAt: number, now: number): number {
  const ageMs = now - queuedAt;
  if (ageMs < 15_000) return 1;
  return ageMs < 120_000 ? 2 : 5;
}

/** What answers of one revision of a run have in common. */
interface RenderedRun {
  readonly etag: string;
  readonly json: string;
  readonly isLive: boolean;
  readonly queuedAt: number;
}

/** The cache gives the same object until the run changes. */
const rendered = new WeakMap<RunView, RenderedRun>();

function render(run: RunView): RenderedRun {
  const known = rendered.get(run);
  if (known) return known;
  const made = {
    etag: etagOf(run.revision),
    json: JSON.stringify(wireRun(run)),
    isLive: !isTerminal(run.status),
    queuedAt: Date.parse(run.queuedAt),
  };
  rendered.set(run, made);
  return made;
}

const NOTHING_MORE = {};

/** A run as an answer; one that is live says when to ask again. */
export function runAnswer(
  run: RunView,
  status: number,
  more: Readonly<Record<string, string>> = NOTHING_MORE,
): Answer {
  const { etag, json, isLive, queuedAt } = render(run);
  const headers: Record<string, string> = { etag, "cache-control": "private, no-cache", ...more };
  if (isLive) headers["retry-after"] = String(retryAfterSeconds(queuedAt, Date.now()));
  if (status === 304) return { status, headers };
  return { status, headers, raw: { type: "application/json; charset=utf-8", content: json } };
}

function etagOf(revision: number): string {
  return `W/"${revision}"`;
}

/** Whether a client has what bears this tag: it names it, with others perhaps, or `*`, which is any. */
function isKnown(names: string | undefined, etag: string): boolean {
  if (names === undefined || names === etag) return names === etag;
  const tags = names.split(",").map((tag) => tag.trim());
  return tags.some((tag) => tag === "*" || tag === etag || tag === etag.slice(2));
}

type Context = UserContext<unknown, unknown>;

async function answerRun(context: Context, id: string): Promise<Answer> {
  const { services, user, request, record } = context;
  record.fields.run_id = id;
  const seconds = wantedWaitSeconds(request);
  const waited = seconds === 0 ? null : await waitFor(context, id, seconds);
  const run = await cached(record, waited ?? services.reads.run(user, id));
  if (!run) throw notFound("run");
  const status = isKnown(request.headers["if-none-match"], render(run).etag) ? 304 : 200;
  return runAnswer(run, status, waited ? { "preference-applied": `wait=${seconds}` } : NOTHING_MORE);
}

/** What is there once the run has changed; null when there is no room for one more who waits. */
async function waitFor(context: Context, id: string, seconds: number): Promise<Found<RunView> | null> {
  const { services, user, request, record } = context;
  const begunAt = performance.now();
  const gone = new AbortController();
  const leave = () => gone.abort();
  request.socket.once("close", leave);
  const names = request.headers["if-none-match"];
  const isSeen = names === undefined ? null : ({ revision }: RunView) => isKnown(names, etagOf(revision));
  const found = await services.waits.wait({ user, id, isSeen, waitMs: seconds * 1_000, gone: gone.signal });
  request.socket.off("close", leave);
  record.waitedMs = performance.now() - begunAt;
  return found;
}

export const STATUS = userRoute(
  {
    method: "get",
    path: "/status/:run_id",
    summary: "Ask where a run stands",
    pathSchema: statusPath,
    querySchema: NOTHING,
    headers: preferHeader,
    answers: ANSWERS,
    errors: [],
    longerMs: (request) => wantedWaitSeconds(request) * 1_000,
  },
  (context) => answerRun(context, context.path.run_id),
);

const show = userRoute(
  {
    method: "get",
    path: "/runs/:id",
    summary: "Show a run",
    pathSchema: runPath,
    querySchema: NOTHING,
    headers: preferHeader,
    answers: ANSWERS,
    errors: [],
    longerMs: (request) => wantedWaitSeconds(request) * 1_000,
  },
  (context) => answerRun(context, context.path.id),
);

export const STATUS_ROUTES: readonly Route[] = [STATUS, show];
