import { setTimeout as pause } from "node:timers/promises";
import { freshDatabase } from "@mythic/testing/mongo";
import { startRedis } from "@mythic/testing/redis";
import type { Bench } from "../bench.ts";
import type { StatusServerOrders, StatusServerSettings } from "../children/status-server.ts";
import {
  type ApiProcess,
  Client,
  createKey,
  type Environment,
  makeDataDir,
  RATE_LIMITS,
  startApi,
} from "../measuring/api.ts";
import { loadServer } from "../measuring/http-load.ts";
import { KEEPS_CODE } from "../measuring/keeps-code.ts";
import { readCounter } from "../measuring/metrics.ts";
import { cpuMs } from "../measuring/process-cpu.ts";
import { atMost, BARE_MINIMUM, defineRow, type Measured, MYTHIC } from "../row.ts";

const USERS = 4;
const SMOKE_USERS = 1;
const RUNS_OF_A_USER = 50;
/** As long as a status is kept, so that each is read anew in each round. */
const ROUND_SECONDS = 30;
const SMOKE_SECONDS = 2;
const WARM_UP_MS = 5_000;
const SMOKE_WARM_UP_MS = 200;
/** Each is a miss for every run. */
const WARM_UP_SWEEPS = 50;
const SMOKE_SWEEPS = 1;
const CONNECTIONS = 50;
/** Polled before anything counts, as what is in demand goes on being compiled for about a minute. */
const SETTLE_SECONDS = 60;
const SMOKE_SETTLE_SECONDS = 1;
/** How long a status is kept. */
const TTL_SECONDS = 30;
const CHANGE_EVERY_SECONDS = 2;
/** Of one process. */
const CACHE_LOADS = "mythic_cache_loads_total";

export const row = defineRow({
  name: "polling",
  measures:
    "What the cache saves our own API under polling: reads of the store and processor time, with the cache as a share of without it.",
  how: `${USERS} users ask for all of their ${RUNS_OF_A_USER} runs and the list of their books at once, once a second, of an API with the cache and, half a pace later, of one without, with the same limits; a third changes a run every ${CHANGE_EVERY_SECONDS} s. Both have warmed up for ${WARM_UP_MS / 1_000} s before, and by ${WARM_UP_SWEEPS} times all of these requests, each with a cache that is empty, as in a round most are hits and what a miss takes has to be compiled, too. Runs were then asked for spread over the ${TTL_SECONDS} s that a status is kept, so that they do not all expire together, and then in the way of a round, of ${ROUND_SECONDS} s each, for ${SETTLE_SECONDS} s, which do not count. V8 gives back no memory meanwhile (${KEEPS_CODE}), as it throws away compiled code with it. Reads with the cache are all its loads; without it, one for each request, which leaves out those of keys. Misses are all loads of run-status, also those ahead of time; of expiries there are as many as there can be of runs that are asked for all the time. Bare minimum: node:http around a read of the same store, without and with a Map and Redis that keep what was read for ${TTL_SECONDS} s; no keys, no limits, nothing changes.`,
  bars: {
    "SQLite: store reads, on ÷ off": atMost(0.05),
    "SQLite: API CPU, on ÷ off": atMost(0.7),
    "SQLite: misses ÷ (changes + expiries)": atMost(1),
    "MongoDB: store reads, on ÷ off": atMost(0.05),
    "MongoDB: API CPU, on ÷ off": atMost(0.7),
    "MongoDB: misses ÷ (changes + expiries)": atMost(1),
  },
  async run(bench) {
    await using dataDir = await makeDataDir();
    const options = { dataDir: dataDir.path, mongodbUrl: null };
    const sqlite = await measure(bench, options);
    // Not before: it takes some of the machine while nobody asks for anything.
    const mongo = await bench.mongo();
    const mongodb = mongo && (await measure(bench, { ...options, mongodbUrl: freshDatabase(mongo.url) }));
    return {
      "SQLite: store reads, on ÷ off": figure(sqlite, ({ reads }) => reads),
      "SQLite: API CPU, on ÷ off": cpuFigure(sqlite),
      "SQLite: misses ÷ (changes + expiries)": figure(sqlite, ({ misses }) => misses),
      "MongoDB: store reads, on ÷ off": figure(mongodb, ({ reads }) => reads),
      "MongoDB: API CPU, on ÷ off": cpuFigure(mongodb),
      "MongoDB: misses ÷ (changes + expiries)": figure(mongodb, ({ misses }) => misses),
    };
  },
});

interface Round {
  readonly reads: number;
  readonly cpu: number;
  readonly misses: number;
}

/** Of one kind of store. */
interface Polled {
  readonly rounds: readonly Round[];
  /** Processor time of the least that can answer, with the cache as a share of without it. */
  readonly bareCpu: readonly number[];
}

function figure(polled: Polled | null, sampleOf: (round: Round) => number): Measured {
  if (polled === null) return { figures: [], leftOut: "no MongoDB" };
  return { figures: [{ contender: MYTHIC, samples: polled.rounds.map(sampleOf) }] };
}

/** Processor time, with the bare minimum's beside it. */
function cpuFigure(polled: Polled | null): Measured {
  const measured = figure(polled, ({ cpu }) => cpu);
  if (polled === null) return measured;
  return { figures: [...measured.figures, { contender: BARE_MINIMUM, samples: polled.bareCpu }] };
}

/** A user with runs that are polled. */
interface Reader {
  readonly user: string;
  readonly key: string;
  readonly runs: readonly string[];
}

type StoreOptions = Pick<StatusServerSettings, "dataDir" | "mongodbUrl">;

async function measure(bench: Bench, store: StoreOptions): Promise<Polled> {
  await using stack = new AsyncDisposableStack();
  const redis = stack.use(await startRedis());
  const environment = {
    MYTHIC_DATA_DIR: store.dataDir,
    ...(store.mongodbUrl !== null && { MONGODB_URL: store.mongodbUrl }),
    REDIS_URL: redis.url,
    RATE_LIMITS,
    LOG_LEVEL: "warn",
  };
  const admin = await createKey(environment, "admin", "admin");
  const writer = stack.use(await startApi(environment));
  const cached = stack.use(await startApi(environment, KEEPS_CODE));
  const uncached = stack.use(await startApi({ ...environment, MYTHIC_CACHE: "off" }, KEEPS_CODE));
  const users = Array.from({ length: bench.size(USERS, SMOKE_USERS) }, (_, at) => `reader-${at}`);
  const readers = await Promise.all(users.map((user) => prepareReader(environment, writer, user)));
  const change = changeInTurn(writer, readers);
  const clear = async () => {
    await (await new Client(cached.url, admin).ask("DELETE", "/cache?all=true")).arrayBuffer();
  };
  await begin(bench, [cached, uncached], readers, clear);
  const pollFor = async (forMs: number) =>
    await Promise.all([
      measureBoth([cached, uncached], { readers, forMs }),
      atAPace(change, { everyMs: CHANGE_EVERY_SECONDS * 1_000, forMs }),
    ]);
  await pollFor(settleMs(bench));
  const forMs = bench.size(ROUND_SECONDS, SMOKE_SECONDS) * 1_000;
  const rounds = await bench.repeat(async () => {
    const before = await readCounters(cached, admin);
    const [[on, off], changes] = await pollFor(forMs);
    const after = await readCounters(cached, admin);
    return {
      reads: (after.loads - before.loads) / off.requests,
      cpu: on.cpuMs / off.cpuMs,
      misses: (after.misses - before.misses) / (changes + mostExpiries(readers, forMs)),
    };
  });
  return { rounds, bareCpu: await measureBare(bench, { ...store, redisUrl: redis.url, readers }) };
}

/** The same polls, of the least that can answer them. */
async function measureBare(
  bench: Bench,
  { readers, ...options }: StoreOptions & { readonly redisUrl: string; readonly readers: readonly Reader[] },
): Promise<readonly number[]> {
  await using stack = new AsyncDisposableStack();
  const users = Object.fromEntries(readers.map(({ key, user }) => [`Bearer ${key}`, user]));
  const start = async (keepMs: number | null): Promise<Served> => {
    const settings: StatusServerSettings = { ...options, users, keepMs };
    const child = stack.use(await bench.child<StatusServerOrders>("status-server", settings, KEEPS_CODE));
    return { id: child.id, ...(await child.order("address", null)) };
  };
  const cached = await start(TTL_SECONDS * 1_000);
  const uncached = await start(null);
  await begin(bench, [cached, uncached], readers);
  await measureBoth([cached, uncached], { readers, forMs: settleMs(bench) });
  const forMs = bench.size(ROUND_SECONDS, SMOKE_SECONDS) * 1_000;
  return await bench.repeat(async () => {
    const [on, off] = await measureBoth([cached, uncached], { readers, forMs });
    return on.cpuMs / off.cpuMs;
  });
}

/** Until what answers has been compiled, and runs expire one after the other. */
async function begin(
  bench: Bench,
  servers: readonly Served[],
  readers: readonly Reader[],
  clear?: () => Promise<void>,
): Promise<void> {
  for (const server of servers) await warmUp(server, readers, bench.size(WARM_UP_MS, SMOKE_WARM_UP_MS));
  const polls = servers.flatMap((server) => readers.map((reader) => pollOf(server, reader)));
  for (let sweep = 0; sweep < bench.size(WARM_UP_SWEEPS, SMOKE_SWEEPS); sweep++) {
    await clear?.();
    for (const poll of polls) await poll();
  }
  await clear?.();
  const beginMs = bench.size(TTL_SECONDS, SMOKE_SECONDS) * 1_000;
  await Promise.all(servers.map((server) => beginInTurn(server, readers, beginMs)));
}

function settleMs(bench: Bench): number {
  return bench.size(SETTLE_SECONDS, SMOKE_SETTLE_SECONDS) * 1_000;
}

/** When all runs are asked for all the time. */
function mostExpiries(readers: readonly Reader[], forMs: number): number {
  const runs = readers.reduce((sum, reader) => sum + reader.runs.length, 0);
  return (runs * forMs) / (TTL_SECONDS * 1_000);
}

async function prepareReader(environment: Environment, writer: ApiProcess, user: string): Promise<Reader> {
  const key = await createKey(environment, user, "user");
  const client = new Client(writer.url, key);
  const bookId = await client.uploadBook(`Tides of ${user}`, 3);
  const runs: string[] = [];
  for (let at = 0; at < RUNS_OF_A_USER; at++) runs.push(await client.startRun(bookId));
  return { user, key, runs };
}

interface Counters {
  readonly loads: number;
  readonly misses: number;
}

/** A process that answers polls and does nothing else. */
type Served = Pick<ApiProcess, "id" | "url">;

interface Polling {
  readonly readers: readonly Reader[];
  readonly forMs: number;
}

interface Used {
  readonly cpuMs: number;
  readonly requests: number;
}

/** Polls the second half-way between two polls of the first, so that they do not take the processors from each other. */
async function measureBoth(
  [first, second]: readonly [Served, Served],
  polling: Polling,
): Promise<readonly [Used, Used]> {
  const later = pause(userEveryMs(polling.readers) / 2).then(() => measurePolling(second, polling));
  return await Promise.all([measurePolling(first, polling), later]);
}

/** Each user asks for all of their runs and the list of their books at once, once a second. */
async function measurePolling(server: Served, { readers, forMs }: Polling): Promise<Used> {
  const polls = readers.map((reader) => pollOf(server, reader));
  const before = cpuMs(server.id);
  let requests = 0;
  const poll = async (at: number) => {
    const made = await polls[at % polls.length]?.();
    requests += made ?? 0;
  };
  await atAPace(poll, { everyMs: userEveryMs(readers), forMs });
  return { requests, cpuMs: cpuMs(server.id) - before };
}

/** Between the polls of two users. */
function userEveryMs(readers: readonly Reader[]): number {
  return 1_000 / readers.length;
}

/** Asks for one run over and over: the rounds are too few requests to compile what answers. */
async function warmUp({ url }: Served, readers: readonly Reader[], forMs: number): Promise<void> {
  const [reader] = readers;
  if (reader === undefined) return;
  const { headers } = new Client(url, reader.key);
  await loadServer({
    url: `${url}/status/${reader.runs[0]}`,
    headers,
    status: 200,
    forMs,
    connections: CONNECTIONS,
  });
}

/** Polls with more and more of the runs. */
async function beginInTurn(server: Served, readers: readonly Reader[], forMs: number): Promise<void> {
  const polls = readers.map((reader) => pollOf(server, reader));
  const pace = { everyMs: userEveryMs(readers), forMs };
  const poll = async (at: number) => {
    await polls[at % polls.length]?.((at * pace.everyMs) / forMs);
  };
  await atAPace(poll, pace);
}

/** Gives a function that polls this share of a user's runs, all without it, and answers how many requests that were. */
function pollOf({ url }: Served, { key, runs }: Reader): (share?: number) => Promise<number> {
  const client = new Client(url, key);
  const paths = [...runs.map((run) => `/status/${run}`), "/books/my"];
  return async (share = 1) => {
    const some = paths.slice(0, Math.ceil(paths.length * share));
    await Promise.all(some.map(async (path) => await (await client.ask("GET", path)).arrayBuffer()));
    return some.length;
  };
}

async function readCounters({ url }: ApiProcess, admin: string): Promise<Counters> {
  const text = await (await new Client(url, admin).ask("GET", "/metrics")).text();
  const ofStatus = { family: "run-status" };
  return {
    loads: readCounter(text, CACHE_LOADS),
    misses: readCounter(text, CACHE_LOADS, ofStatus),
  };
}

/** Gives a task that changes the next run each time: all of them are cancelled and taken up again in turn. */
function changeInTurn(api: ApiProcess, readers: readonly Reader[]): () => Promise<void> {
  const changes = readers.flatMap(({ key, runs }) => {
    const client = new Client(api.url, key);
    const paths = runs.flatMap((run) => [`/runs/${run}/cancel`, `/runs/${run}/retry`]);
    return paths.map((path) => async () => void (await (await client.ask("POST", path)).arrayBuffer()));
  });
  let next = 0;
  return async () => await changes[next++ % changes.length]?.();
}

interface Pace {
  /** Between the beginnings of two tasks. */
  readonly everyMs: number;
  readonly forMs: number;
}

/** Begins one task after the other at an even pace, whether or not earlier ones have ended. Answers how many were begun. */
async function atAPace(task: (at: number) => Promise<void>, { everyMs, forMs }: Pace): Promise<number> {
  const begun = performance.now();
  const running: Promise<void>[] = [];
  const failures: unknown[] = [];
  for (let at = 0; at * everyMs < forMs; at++) {
    const waitMs = begun + at * everyMs - performance.now();
    if (waitMs > 0) await pause(waitMs);
    running.push(task(at).catch((error: unknown) => void failures.push(error)));
  }
  await Promise.all(running);
  if (failures.length > 0) throw failures[0];
  return running.length;
}
