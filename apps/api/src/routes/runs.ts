import {
  cancelRun,
  isId,
  isTerminal,
  LIVE_RUN_STATUSES,
  type RunStatus,
  retryRun,
  TERMINAL_RUN_STATUSES,
} from "@mythic/runs";
import { plain } from "@mythic/runs/cache";
import { z } from "zod";
import { readJson } from "../body.ts";
import { withPatience } from "../deadline.ts";
import { notFound, Problem } from "../errors.ts";
import { checkWanted, startRun, wantedOfForm } from "../new-run.ts";
import type { Answer } from "../send.ts";
import { isForm } from "../upload.ts";
import { estimateSchema, newRunSchema, runSchema, wireRun } from "../wire/run.ts";
import { listSchema } from "../wire/shared.ts";
import { bookOfUpload } from "./books.ts";
import { listAnswer } from "./list.ts";
import { idempotencyHeader, pageQuery, runPath } from "./parameters.ts";
import { once, onceReceived } from "./receive.ts";
import { NOTHING, type Route, type UserContext, userRoute } from "./route.ts";
import { runAnswer } from "./status.ts";

const JSON_RUN = { "application/json": runSchema };
const STATUSES: readonly RunStatus[] = [...LIVE_RUN_STATUSES, ...TERMINAL_RUN_STATUSES];

const create = userRoute(
  {
    method: "post",
    path: "/runs",
    summary: "Start a run, or ask what it would take",
    pathSchema: NOTHING,
    querySchema: NOTHING,
    headers: idempotencyHeader,
    request: {
      "application/json": newRunSchema,
      "multipart/form-data": {
        description:
          "The book's file in the field `file`; `recipes` (separated by commas or as JSON), `options` (JSON) and `dry_run` as fields.",
      },
    },
    answers: {
      200: {
        description: "With `dry_run`: what the run would take.",
        content: { "application/json": estimateSchema },
      },
      202: { description: "The run. Location says where to ask for its status.", content: JSON_RUN },
    },
    errors: [
      "malformed_json",
      "malformed_multipart",
      "empty_file",
      "invalid_idempotency_key",
      "request_timeout",
      "not_found",
      "upload_timeout",
      "book_not_ready",
      "book_refused",
      "idempotency_in_progress",
      "too_large",
      "storage_full",
      "unsupported_format",
      "unsupported_media_type",
      "invalid_request",
      "missing_file",
      "unknown_recipe",
      "price_unknown",
      "idempotency_mismatch",
    ],
    hasDeadline: false,
  },
  (context) => (isForm(context.request) ? createFromForm(context) : createFromJson(context)),
);

type Context = UserContext<unknown, unknown>;

async function createFromForm(context: Context): Promise<Answer> {
  const { services, caller, user, record } = context;
  // Whether it is a dry run is known at its end only.
  await services.limits.take(caller, ["uploads", "runs"], record);
  return await onceReceived(context, async (upload) => {
    const wanted = wantedOfForm(upload.fields);
    checkWanted(wanted, services.model);
    return async (mark) => {
      const { book } = await bookOfUpload(services, user, upload);
      record.fields.book_id = book.id;
      return await noted(context, startRun(services, book, { ...wanted, mark }));
    };
  });
}

async function createFromJson(context: Context): Promise<Answer> {
  const { services, request, caller, user, record } = context;
  const body = await readJson(request, newRunSchema);
  const { book_id: bookId, ...wanted } = body;
  checkWanted(wanted, services.model);
  if (!wanted.dry_run) await services.limits.take(caller, ["runs"], record);
  const act = async (mark: string | null) => {
    const book = isId("book", bookId) ? await services.store.books.get(user, bookId) : null;
    if (!book) throw notFound("book", [{ pointer: "/book_id", detail: "There is no book with this id." }]);
    record.fields.book_id = book.id;
    return await noted(context, startRun(services, book, { ...wanted, mark }));
  };
  return await withPatience(once(context, body, act));
}

async function noted(context: Context, starting: Promise<Answer>): Promise<Answer> {
  const answer = await starting;
  const id = answer.headers?.["location"]?.replace("/status/", "");
  if (id !== undefined) context.record.fields.run_id = id;
  return answer;
}

const list = userRoute(
  {
    method: "get",
    path: "/runs",
    summary: "List your runs, newest first",
    pathSchema: NOTHING,
    querySchema: pageQuery("run").extend({
      status: z
        .string()
        .refine((text) => statusesOf(text) !== null, `Statuses, separated by commas: ${STATUSES.join(", ")}.`)
        .optional()
        .meta({ description: "Runs in one of these statuses only, separated by commas." }),
      book_id: z.string().optional().meta({ description: "Runs of this book only." }),
    }),
    answers: {
      200: { description: "A page.", content: { "application/json": listSchema(runSchema, "RunList") } },
    },
    errors: [],
  },
  async ({ services, user, query }) => {
    const status = query.status === undefined ? null : statusesOf(query.status);
    const page = await services.store.runs.list(user, {
      limit: query.limit,
      after: query.after ?? null,
      ...(status ? { status } : {}),
      ...(query.book_id === undefined ? {} : { bookId: query.book_id }),
    });
    return listAnswer(plain(page), wireRun, { path: "/runs", query });
  },
);

function statusesOf(text: string): readonly RunStatus[] | null {
  const names = text.split(",");
  const known = STATUSES.filter((status) => names.includes(status));
  return names.every((name) => known.some((status) => status === name)) ? known : null;
}

const cancel = userRoute(
  {
    method: "post",
    path: "/runs/:id/cancel",
    summary: "Stop a run",
    pathSchema: runPath,
    querySchema: NOTHING,
    answers: {
      200: { description: "It is cancelled.", content: JSON_RUN },
      202: { description: "It will be, as soon as what is at work has stopped.", content: JSON_RUN },
    },
    errors: ["run_ended"],
  },
  async ({ services, user, path, record }) => {
    record.fields.run_id = path.id;
    const run = await cancelRun(services, user, path.id);
    if (!run) throw notFound("run");
    if (!isTerminal(run.status)) return runAnswer(plain(run), 202);
    if (run.status === "cancelled") return runAnswer(plain(run), 200);
    throw new Problem(
      "run_ended",
      `The run ${run.status === "failed" ? "has failed" : "has ended"} already.`,
    );
  },
);

const retry = userRoute(
  {
    method: "post",
    path: "/runs/:id/retry",
    summary: "Do again what is missing from a run",
    pathSchema: runPath,
    querySchema: NOTHING,
    answers: { 202: { description: "The run, at work again. What was done is kept.", content: JSON_RUN } },
    errors: ["book_deleted", "nothing_to_retry"],
  },
  async ({ services, user, path, record }) => {
    record.fields.run_id = path.id;
    const { store } = services;
    const before = await store.runs.get(user, path.id);
    if (!before) throw notFound("run");
    if (before.status === "succeeded") {
      throw new Problem("nothing_to_retry", "Nothing is missing. Start a new run, with `fresh` to ask anew.");
    }
    if (!(await store.books.get(user, before.bookId))) {
      throw new Problem("book_deleted", "The run's book was deleted.");
    }
    const run = await retryRun(services, user, path.id);
    if (!run) throw notFound("run");
    return runAnswer(plain(run), 202);
  },
);

export const RUN_ROUTES: readonly Route[] = [create, list, cancel, retry];
