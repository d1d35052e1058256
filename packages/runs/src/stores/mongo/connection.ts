import {
  type Abortable,
  type Db,
  MongoBulkWriteError,
  MongoClient,
  MongoClientClosedError,
  MongoNetworkError,
  MongoNotConnectedError,
  MongoOperationTimeoutError,
  MongoServerClosedError,
  MongoServerError,
  MongoSystemError,
  MongoTopologyClosedError,
} from "mongodb";
import { StoreUnavailableError } from "../../store.ts";
import { ServerClock, SLOWEST_REPLY_MS } from "./server-clock.ts";

/**
 * Times in milliseconds. The driver's own `timeoutMS` does not bound an operation, so every layer below it is bounded
 * by itself and each operation once more as a whole: a frozen server is noticed within 5 seconds by whoever asks it.
 */
const LIMITS = {
  operationMs: 4_000,
  pingMs: 1_900,
  closeMs: 2_000,
  serverSelectionMs: 3_500,
  connectMs: 3_000,
  socketMs: 6_000,
  waitQueueMs: 3_500,
  heartbeatMs: 10_000,
  /** Connections of one process. */
  poolSize: 40,
} as const;

/** Codes of a server that starts, stops, hands over or could not confirm a write in time (MongoDB's error_codes.yml). */
const PASSING_CODES: ReadonlySet<number | string | undefined> = new Set([
  6, 7, 50, 64, 89, 91, 100, 112, 134, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436,
]);

/** Names of errors that the driver does not export. */
const PASSING_NAMES: ReadonlySet<string> = new Set([
  "MongoWaitQueueTimeoutError",
  "MongoPoolClearedError",
  "MongoPoolClosedError",
]);

export interface ConnectionOptions {
  readonly url: string;
  /** Default: the one that the URL names, else `mythic`. */
  readonly database?: string | undefined;
  /** Replaces the server's clock: milliseconds since 1970. */
  readonly now?: (() => number) | undefined;
  /** How long a socket may be silent while it is waited for. Default: `LIMITS.socketMs`; 0: for ever. */
  readonly socketMs?: number;
}

export class Connection implements AsyncDisposable {
  readonly db: Db;
  readonly #client: MongoClient;
  readonly #now: () => number;
  /** How far the clocks of two processes may be apart. An injected clock is one clock. */
  readonly #toleranceMs: number;
  #closed: Promise<void> | null = null;

  private constructor(
    client: MongoClient,
    database: string,
    clock: { now: () => number; toleranceMs: number },
  ) {
    this.#client = client;
    this.#now = clock.now;
    this.#toleranceMs = clock.toleranceMs;
    this.db = client.db(database);
  }

  static async open({ url, database, now, socketMs }: ConnectionOptions): Promise<Connection> {
    const client = new MongoClient(url, {
      appName: "mythic",
      writeConcern: { w: "majority", journal: true },
      ignoreUndefined: true,
      maxPoolSize: LIMITS.poolSize,
      serverSelectionTimeoutMS: LIMITS.serverSelectionMs,
      connectTimeoutMS: LIMITS.connectMs,
      socketTimeoutMS: socketMs ?? LIMITS.socketMs,
      waitQueueTimeoutMS: LIMITS.waitQueueMs,
      heartbeatFrequencyMS: LIMITS.heartbeatMs,
      // Without polling the time that a heartbeat took says nothing about how old the server's time in it is.
      serverMonitoringMode: "poll",
    });
    const clock = new ServerClock();
    client.on("serverHeartbeatSucceeded", ({ reply, duration }) => clock.observe(reply, duration));
    const judge = now ? { now, toleranceMs: 0 } : { now: () => clock.now(), toleranceMs: SLOWEST_REPLY_MS };
    const connection = new Connection(client, database ?? databaseOf(url), judge);
    try {
      await bounded(() => client.connect(), LIMITS.operationMs);
    } catch (error) {
      await connection[Symbol.asyncDispose]();
      throw error;
    }
    return connection;
  }

  /** The server's time, so that all processes judge leases by one clock. */
  now(): Date {
    return new Date(this.#now());
  }

  /** As late as it may be by the clock of any process: what one calls due another must not refuse. */
  latest(): Date {
    return new Date(this.#now() + this.#toleranceMs);
  }

  /** The time so many milliseconds ago. */
  ago(ms: number): Date {
    return new Date(this.#now() - ms);
  }

  /**
   * Runs one operation and gives it up after `limitMs`. Whatever says that the server cannot be reached becomes a
   * `StoreUnavailableError`; all other errors are thrown on. Pass the options on to the driver where it takes a signal.
   */
  async run<Value>(
    operation: (options: Required<Abortable>) => Promise<Value>,
    limitMs: number = LIMITS.operationMs,
  ): Promise<Value> {
    // The driver would quietly connect once more.
    if (this.#closed !== null) throw new StoreUnavailableError("The store was closed.");
    return await bounded(operation, limitMs);
  }

  async ping(): Promise<void> {
    await this.run((options) => this.db.command({ ping: 1 }, options), LIMITS.pingMs);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    try {
      await bounded(() => this.#client.close(), LIMITS.closeMs);
    } catch (error) {
      // A server that does not answer cannot be taken leave of; its sockets end by their own time-out.
      if (!(error instanceof StoreUnavailableError)) throw error;
    }
  }
}

/** True for a write that failed because, and only because, what it would insert is there already. */
export function isDuplicate(error: unknown): error is MongoServerError {
  return error instanceof MongoServerError && error.code === 11000;
}

/** Compares with the value as it is, whatever it is: an object is never read as an operator. */
export function is<Value>(value: Value): { $eq: Value } {
  return { $eq: value };
}

async function bounded<Value>(
  operation: (options: Required<Abortable>) => Promise<Value>,
  limitMs: number,
): Promise<Value> {
  const controller = new AbortController();
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const error = new StoreUnavailableError(`MongoDB did not answer within ${limitMs} ms.`);
    late.reject(error);
    controller.abort(error);
  }, limitMs);
  try {
    return await Promise.race([operation({ signal: controller.signal }), late.promise]);
  } catch (error) {
    throw isUnreachable(error)
      ? new StoreUnavailableError("MongoDB cannot be reached.", { cause: error })
      : error;
  } finally {
    clearTimeout(timer);
  }
}

function isUnreachable(error: unknown): boolean {
  // A bulk write puts its own error around the one that says what happened.
  if (error instanceof MongoBulkWriteError && error.errorResponse instanceof Error) {
    return isUnreachable(error.errorResponse);
  }
  if (error instanceof MongoServerError) return PASSING_CODES.has(error.code);
  return (
    error instanceof MongoNetworkError ||
    error instanceof MongoSystemError ||
    error instanceof MongoNotConnectedError ||
    error instanceof MongoOperationTimeoutError ||
    error instanceof MongoServerClosedError ||
    error instanceof MongoTopologyClosedError ||
    error instanceof MongoClientClosedError ||
    (error instanceof Error && PASSING_NAMES.has(error.name))
  );
}

function databaseOf(url: string): string {
  const named = /^mongodb(?:\+srv)?:\/\/[^/]+\/([^?]+)/.exec(url)?.[1];
  return named ? decodeURIComponent(named) : "mythic";
}
