import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { Dispatcher, type Store, type WakeUps } from "@mythic/runs";
import type { Queue } from "bullmq";
import type { Logger } from "pino";
import { createApp } from "./app.ts";
import { Arriving } from "./arriving.ts";
import { Authenticator, type Clock } from "./authenticate.ts";
import { answerBrokenRequests } from "./broken-requests.ts";
import { PATIENCE_MS } from "./deadline.ts";
import { Problem } from "./errors.ts";
import { MAX_BOOK_BYTES, MAX_USER_BYTES } from "./limits.ts";
import { describeRoutes } from "./openapi.ts";
import { type RedisCheck, RedisWatch } from "./redis-state.ts";
import { problemAnswer } from "./report-error.ts";
import { recordOf } from "./request-log.ts";
import { ROUTES } from "./routes/index.ts";
import type { Services } from "./routes/route.ts";
import { send } from "./send.ts";

export interface ApiOptions {
  /** `127.0.0.1` for this machine alone: then no key is needed until the first was made. */
  readonly host: string;
  /** 0 for any that is free. */
  readonly port: number;
  /** Whether Bull Board may change anything. Not unless told. */
  readonly boardWrite?: boolean;
  /** Bytes of one book. 100 MB unless told. */
  readonly maxBookBytes?: number;
  /** Bytes of all books of a user together. 5 GB unless told. */
  readonly maxUserBytes?: number;
  /** How long an upload may stand still, in milliseconds. 30 s unless told. */
  readonly uploadIdleMs?: number;
  /** How long a connection may stand still in the middle of an answer, in milliseconds. Two minutes unless told. */
  readonly connectionIdleMs?: number;
}

export interface ApiParts {
  readonly config: ApiOptions;
  readonly store: Store;
  readonly wakeUps: WakeUps;
  /** The one of this process, when it has one already. Its loop is not run here. */
  readonly dispatcher?: Dispatcher;
  /** The name of the model that answers new runs; null for the offline methods. */
  readonly model: string | null;
  readonly logger: Logger;
  /** Ask each role of Redis how it is; null or left out where none is configured. */
  readonly queueRedis?: RedisCheck;
  readonly cacheRedis?: RedisCheck;
  /** What Bull Board shows. */
  readonly queue?: Queue;
  readonly clock?: Clock;
}

export interface RunningApi {
  /** `http://127.0.0.1:3000` */
  readonly url: string;
  /** Takes no more requests; resolves when those at work are answered. */
  close(): Promise<void>;
}

const UPLOAD_IDLE_MS = 30_000;

/** 100 MB at 1 Mbit/s take 14 minutes. */
const REQUEST_TIMEOUT_MS = 20 * 60_000;
const HEADERS_TIMEOUT_MS = 15_000;
/** Longer than the 60 s of common load balancers, which would else send requests into connections that close. */
const KEEP_ALIVE_MS = 65_000;
/** A client that reads nothing of its answer would else hold on to it for ever. Far above what any answer takes. */
const CONNECTION_IDLE_MS = 120_000;
/** How long answers at work may take after `close`. */
const DRAIN_MS = 10_000;
/** How often connections are looked for that have had their answer since. */
const DRAIN_LOOK_MS = 50;

const CLOCK: Clock = { now: Date.now, delay: (milliseconds) => delay(milliseconds) };

/** Starts to answer requests. */
export async function startApi(parts: ApiParts): Promise<RunningApi> {
  const { config, logger } = parts;
  let closing = false;
  const services = createServices(parts, () => closing);
  const { queue = null } = parts;
  const app = createApp({ services, queue, boardWrite: config.boardWrite ?? false });
  const server = createServer(
    {
      // The application answers a missing Host itself, with a body.
      requireHostHeader: false,
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: HEADERS_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
    },
    app,
  );
  server.setTimeout(config.connectionIdleMs ?? CONNECTION_IDLE_MS);
  answerBrokenRequests(server, logger);
  refuseExpectations(server);
  server.listen(config.port, config.host);
  await once(server, "listening");
  const close = async () => {
    closing = true;
    await closeServer(server);
  };
  return { url: urlOf(server, config.host), close };
}

function createServices(parts: ApiParts, isClosing: () => boolean): Services {
  const { config, store, model, logger, clock = CLOCK } = parts;
  const { advancer } = parts.dispatcher ?? createDispatcher(parts);
  const authenticator = new Authenticator({ keys: store.keys, host: config.host, clock });
  const checks = { queue: parts.queueRedis ?? null, cache: parts.cacheRedis ?? null };
  return {
    store,
    advancer,
    model,
    limits: {
      maxBookBytes: config.maxBookBytes ?? MAX_BOOK_BYTES,
      maxUserBytes: config.maxUserBytes ?? MAX_USER_BYTES,
      uploadIdleMs: config.uploadIdleMs ?? UPLOAD_IDLE_MS,
      storeStallMs: PATIENCE_MS,
    },
    arriving: new Arriving(),
    redis: new RedisWatch(checks, clock.now),
    identify: (request, scheme) => authenticator.identify(request, scheme),
    logger,
    isClosing,
    openApi: JSON.stringify(describeRoutes(ROUTES)),
  };
}

function createDispatcher({ store, wakeUps, logger }: ApiParts): Dispatcher {
  const onError = (error: unknown, doing: string) =>
    logger.warn({ err: error, doing }, "the dispatcher will try again");
  return new Dispatcher({ store, wakeUps, onError });
}

/** Node would answer an unknown `Expect` without a body. */
function refuseExpectations(server: Server): void {
  server.on("checkExpectation", (request, response) => {
    const problem = new Problem("expectation_failed", "The only expectation that is met is 100-continue.");
    const { id } = recordOf(request);
    response.setHeader("x-request-id", id);
    send(request, response, problemAnswer(problem, id));
  });
}

async function closeServer(server: Server): Promise<void> {
  if (!server.listening) return;
  const closed = once(server, "close");
  server.close();
  const timer = setTimeout(() => server.closeAllConnections(), DRAIN_MS);
  // Node ends those that are idle now; others would be kept open after their answer, for a next request.
  const look = setInterval(() => server.closeIdleConnections(), DRAIN_LOOK_MS);
  await closed;
  clearTimeout(timer);
  clearInterval(look);
}

function urlOf(server: Server, host: string): string {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The system gave no port.");
  const name = host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
  return `http://${name}:${address.port}`;
}
