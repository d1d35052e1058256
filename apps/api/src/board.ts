import { createBullBoard } from "@bull-board/api";
import { BullMQAdapter } from "@bull-board/api/bullMQAdapter";
import { ExpressAdapter } from "@bull-board/express";
import type { Queue } from "bullmq";
import { type RequestHandler, Router } from "express";
import { requireAdmin } from "./authenticate.ts";
import { withPatience } from "./deadline.ts";
import { Problem } from "./errors.ts";
import { recordOf } from "./request-record.ts";
import type { Services } from "./routes/route.ts";
import { isOfSameOrigin } from "./same-machine.ts";
import { STATIC_HEADERS } from "./send.ts";

export const BOARD_PATH = "/admin/queues";

export interface BoardOptions {
  readonly services: Services;
  readonly queue: Queue | null;
  /** Whether jobs can be retried, removed and so on. The store stays the truth either way. */
  readonly write: boolean;
}

const POLICY = [
  "default-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "object-src 'none'",
  "form-action 'none'",
  "base-uri 'self'",
  "frame-ancestors 'none'",
].join("; ");

/** Every tab that is open asks for every queue this often. In seconds. */
const POLL_SECONDS = 5;
/** What a job may show of its data: ids. Anything else would be there by mistake. */
const SHOWN_DATA = ["stepId", "bookId", "runId"];

/** Bull Board, for admins. A browser asks for the key: any user name, and the key as password. */
export function createBoard(options: BoardOptions): Router {
  const router = Router();
  router.use(guard(options.services));
  router.use(withOwnFonts, options.queue ? boardOf(options.queue, options.write) : withoutQueue);
  return router;
}

function guard(services: Services): RequestHandler {
  return async (request, response, next) => {
    const caller = await withPatience(services.identify(request, "basic"));
    const record = recordOf(request);
    record.route = BOARD_PATH;
    record.fields.user = caller.user;
    requireAdmin(caller);
    // The browser adds the key to whatever is sent here, no matter which page made it do so.
    if (!isOfSameOrigin(request))
      throw new Problem("forbidden_origin", "This can be done on the board itself only.");
    const headers = { ...STATIC_HEADERS, "x-request-id": record.id, "content-security-policy": POLICY };
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    next();
  };
}

const withoutQueue: RequestHandler = () => {
  throw new Problem("queue_not_configured", "Set QUEUE_REDIS_URL or REDIS_URL to have a queue.");
};

/**
 * Takes the typeface of another site out of the page: the policy would block it, and each load would show an error in the
 * browser's console.
 */
const withOwnFonts: RequestHandler = (_request, response, next) => {
  const send = response.send.bind(response);
  response.send = (body) =>
    send(typeof body === "string" ? body.replace(/<link [^>]*href="https?:[^>]*>\s*/g, "") : body);
  next();
};

function boardOf(queue: Queue, write: boolean): RequestHandler {
  const adapter = new BullMQAdapter(queue, {
    readOnlyMode: !write,
    description: "Wake-ups of steps. Lost ones are sent again; what counts is in the store.",
  });
  adapter.setFormatter("data", (data) => {
    const entries = Object.entries(data ?? {}).filter(([name]) => SHOWN_DATA.includes(name));
    return Object.fromEntries(entries);
  });
  const server = new ExpressAdapter();
  server.setBasePath(BOARD_PATH);
  createBullBoard({
    queues: [adapter],
    serverAdapter: server,
    options: {
      uiConfig: {
        boardTitle: "Mythic",
        hideRedisDetails: true,
        hideDocsLink: true,
        pollingInterval: { showSetting: false, forceInterval: POLL_SECONDS },
      },
    },
  });
  // Its own words for an error may hold a command with its arguments.
  server.setErrorHandler(() => ({ status: 500, body: { error: "The queue's Redis does not answer." } }));
  return server.getRouter();
}
