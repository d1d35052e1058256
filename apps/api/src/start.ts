import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import type { OpenAnswers } from "@mythic/llm";
import { Dispatcher, type Store, type WakeUps } from "@mythic/runs";
import { Reads, type RunCache } from "@mythic/runs/cache";
import { openRateLimiter } from "@mythic/shared/rate-limit";
import type { GuardedRedis } from "@mythic/shared/redis";
import type { Queue } from "bullmq";
import type { Logger } from "pino";
import { createApp } from "./app.ts";
import { Arriving } from "./arriving.ts";
import { Authenticator, type Clock } from "./authenticate.ts";
import { answerBrokenRequests } from "./broken-requests.ts";
import { closerOf } from "./close-server.ts";
import { PATIENCE_MS } from "./deadline.ts";
import { Problem } from "./errors.ts";
import { FailedAttempts } from "./failed-attempts.ts";
import { Metrics } from "./metrics.ts";
import { describeRoutes } from "./openapi.ts";
import { POLICIES, type Policies } from "./policies.ts";
import { RateLimits } from "./rate-limits.ts";
import { type RedisRoles, RedisWatch } from "./redis-state.ts";
import { problemAnswer } from "./report-error.ts";
import { recordOf } from "./request-record.ts";
import { ROUTES } from "./routes/index.ts";
import type { Services } from "./routes/route.ts";
import { RunWaits } from "./run-waits.ts";
import { send } from "./send.ts";
import { MAX_BOOK_BYTES, MAX_USER_BYTES } from "./upload-limits.ts";

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
  /** What users may ask how often. `POLICIES` unless told. */
  readonly policies?: Policies;
  /** How many processes share the limits, for when Redis is down. One unless told. */
  readonly instances?: number;
  /** Requests that take longer are logged as warnings, in milliseconds. 1,000 unless told. */
  readonly slowRequestMs?: number;
}

export interface ApiParts {
  readonly config: ApiOptions;
  /** Whatever changes it tells the cache of it: see `announceChanges`. */
  readonly store: Store;
  /** Null or left out: everything is read from the store. */
  readonly cache?: RunCache | null;
  readonly wakeUps: WakeUps;
  /** The one of this process, when it has one already. Its loop is not run here. */
  readonly dispatcher?: Dispatcher;
  /** The name of the model that answers new runs; null for the offline methods. */
  readonly model: string | null;
  /** The way to the models; null or left out where none is configured. */
  readonly answers?: OpenAnswers | null;
  readonly logger: Logger;
  /** The roles of Redis; null or left out where none is configured. */
  readonly queueRedis?: GuardedRedis | null;
  readonly cacheRedis?: GuardedRedis | null;
  /** What the keys of limits begin with. `mythic` unless told. */
  readonly namespace?: string;
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
const SLOW_REQUEST_MS = 1_000;

/** 100 MB at 1 Mbit/s take 14 minutes. */
const REQUEST_TIMEOUT_MS = 20 * 60_000;
const HEADERS_TIMEOUT_MS = 15_000;
/** Longer than the 60 s of common load balancers, which would else send requests into connections that close. */
const KEEP_ALIVE_MS = 65_000;
/** A client that reads nothing of its answer would else hold on to it for ever. Far above what any answer takes. */
const CONNECTION_IDLE_MS = 120_000;

const CLOCK: Clock = { now: Date.now, delay: (milliseconds) => delay(milliseconds) };

/** Starts to answer requests. */
export async function startApi(parts: ApiParts): Promise<RunningApi> {
  const { config, logger } = parts;
  const closing = new AbortController();
  const services = createServices(parts, closing.signal);
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
  const closeServer = closerOf(server);
  server.listen(config.port, config.host);
  await once(server, "listening");
  const close = async () => {
    closing.abort();
    await closeServer();
  };
  return { url: urlOf(server, config.host), close };
}

function createServices(parts: ApiParts, closing: AbortSignal): Services {
  const { config, store, cache = null, model, logger, clock = CLOCK } = parts;
  const { advancer } = parts.dispatcher ?? createDispatcher(parts);
  const roles: RedisRoles = { queue: parts.queueRedis ?? null, cache: parts.cacheRedis ?? null };
  const reads = new Reads(store, cache);
  const metrics = new Metrics({ store, cache, redis: roles });
  const policies = config.policies ?? POLICIES;
  const limiter = openRateLimiter({
    namespace: parts.namespace ?? "mythic",
    redis: roles.cache,
    instances: config.instances ?? 1,
    clock: clock.now,
    onDecision: (decision) => metrics.limiter.count(decision),
  });
  const failures = new FailedAttempts(limiter, policies.logins);
  const authenticator = new Authenticator({ keys: store.keys, reads, failures, host: config.host, clock });
  return {
    store,
    advancer,
    model,
    answers: parts.answers ?? null,
    uploads: {
      maxBookBytes: config.maxBookBytes ?? MAX_BOOK_BYTES,
      maxUserBytes: config.maxUserBytes ?? MAX_USER_BYTES,
      uploadIdleMs: config.uploadIdleMs ?? UPLOAD_IDLE_MS,
      storeStallMs: PATIENCE_MS,
    },
    arriving: new Arriving(),
    reads,
    cache,
    limits: new RateLimits(limiter, policies),
    waits: new RunWaits(reads, closing),
    metrics,
    redis: new RedisWatch(roles, cache, clock.now),
    identify: (request, scheme) => authenticator.identify(request, scheme),
    logger,
    slowMs: config.slowRequestMs ?? SLOW_REQUEST_MS,
    closing,
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
    send(request, response, problemAnswer(problem, recordOf(request).id));
  });
}

function urlOf(server: Server, host: string): string {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The system gave no port.");
  const name = host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
  return `http://${name}:${address.port}`;
}
