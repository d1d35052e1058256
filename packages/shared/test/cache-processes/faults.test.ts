import { monitorEventLoopDelay } from "node:perf_hooks";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { type CacheHealth, openCache } from "@mythic/shared/cache";
import { type GuardedRedis, openGuardedRedis } from "@mythic/shared/redis";
import { startRedis, type TestRedis } from "@mythic/testing/redis";
import { waitFor } from "@mythic/testing/wait";
import { Redis } from "ioredis";
import { keyOf } from "./crew.ts";
import { invalidateNote, NAMESPACE, noteFamily, USER, type Way } from "./notes-child.ts";

/** Longer than a busy machine keeps Redis or this process waiting. */
const TIMEOUT_MS = 600;
/** For how long a refusal counts as the state of Redis. */
const REFUSAL_MS = 60_000;
const PASSWORD = "right";

interface Fault {
  readonly fault: string;
  /** What the cache is told to log in with. */
  readonly password?: string;
  strike(server: TestRedis, stranger: Redis): Promise<unknown>;
  mend(server: TestRedis, stranger: Redis): Promise<unknown>;
  /** What is told of it. */
  readonly told: RegExp;
}

/** Of the user that the cache logs in as. */
async function setPassword(stranger: Redis, password: string): Promise<void> {
  await stranger.call("ACL", "SETUSER", "cache", "on", "resetpass", `>${password}`, "~*", "&*", "+@all");
}

const FAULTS: readonly Fault[] = [
  {
    fault: "full (OOM)",
    strike: (_, stranger) => stranger.config("SET", "maxmemory", "1"),
    mend: (_, stranger) => stranger.config("SET", "maxmemory", "0"),
    told: /OOM/,
  },
  {
    fault: "a replica, which is read-only",
    strike: (_, stranger) => stranger.replicaof("127.0.0.1", 1),
    mend: (_, stranger) => stranger.replicaof("NO", "ONE"),
    told: /READONLY/,
  },
  {
    fault: "given a wrong password from the start",
    password: "wrong",
    strike: async () => undefined,
    mend: (_, stranger) => setPassword(stranger, "wrong"),
    told: /WRONGPASS/,
  },
  {
    fault: "given another password meanwhile",
    async strike(_, stranger) {
      await setPassword(stranger, "other");
      // Redis asks for it when a connection begins.
      await stranger.call("CLIENT", "KILL", "TYPE", "normal");
      await stranger.call("CLIENT", "KILL", "TYPE", "pubsub");
    },
    mend: (_, stranger) => setPassword(stranger, PASSWORD),
    told: /WRONGPASS/,
  },
  {
    fault: "gone",
    strike: (server) => server.stop(),
    async mend(server, stranger) {
      await server.start();
      await setPassword(stranger, PASSWORD);
    },
    told: /ECONNREFUSED|connection/i,
  },
  {
    fault: "frozen",
    strike: (server) => server.pause(),
    mend: (server) => server.resume(),
    told: /in time|within/,
  },
];

let stack: AsyncDisposableStack;
let server: TestRedis;
let stranger: Redis;
let refusalsAge: number;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  server = stack.use(await startRedis());
  stranger = new Redis(server.url, { retryStrategy: () => 20 });
  stranger.on("error", () => undefined);
  stack.defer(() => stranger.disconnect());
  await setPassword(stranger, PASSWORD);
  refusalsAge = 0;
});

afterEach(async () => {
  await stack.disposeAsync();
});

function openGuard(password = PASSWORD): GuardedRedis {
  const redis = openGuardedRedis(server.url.replace("redis://", `redis://cache:${password}@`), {
    commandTimeoutMs: TIMEOUT_MS,
    probeAfterMs: TIMEOUT_MS,
    clock: () => Date.now() + refusalsAge,
  });
  stack.defer(() => redis.close());
  return redis;
}

function openNotes(redis: GuardedRedis) {
  const cache = openCache({
    namespace: NAMESPACE,
    families: { notes: noteFamily() },
    redis,
    heartbeatMs: TIMEOUT_MS,
  });
  stack.defer(() => cache.close());
  return cache;
}

type NotesCache = ReturnType<typeof openNotes>;

const WAYS: readonly Way[] = ["key", "tag", "pattern", "clear"];

/** Reads, changes and invalidates notes, and looks whether everybody always gets what the source holds. Gives how long the slowest call took. */
async function exercise(cache: NotesCache, run: string): Promise<number> {
  const { notes } = cache.families;
  let edition = 0;
  let loads = 0;
  let slowestMs = 0;
  const timed = async <Result>(call: Promise<Result>): Promise<Result> => {
    const begunAt = performance.now();
    const result = await call;
    slowestMs = Math.max(slowestMs, performance.now() - begunAt);
    return result;
  };
  const current = () => ({ text: `${run} ${edition}` });
  const load = () => {
    loads += 1;
    return current();
  };
  for (const way of WAYS) {
    const id = `${run}-${way}`;
    const all = await Promise.all(Array.from({ length: 10 }, () => timed(notes.getOrSet(USER, id, load))));
    expect(new Set(all)).toEqual(new Set([current()]));
    expect(loads).toBe(1);
    expect(await timed(notes.getOrSet(USER, id, load))).toEqual(current());
    edition += 1;
    await timed(invalidateNote(cache, id, way));
    expect(await timed(notes.get(USER, id))).toBeUndefined();
    expect(await timed(notes.getOrSet(USER, id, load))).toEqual(current());
    edition += 1;
    expect(await timed(notes.set(USER, id, current()))).toBe(true);
    const [stored, nothing] = await timed(notes.getMany(USER, [[id], [`${id}-nothing`]]));
    // It may be gone already, as memory is emptied whenever Redis comes or goes.
    expect([current(), undefined]).toContainEqual(stored);
    expect(nothing).toBeUndefined();
    edition += 1;
    await timed(notes.expire(USER, id));
    expect(await timed(notes.exists(USER, id))).toBe(false);
    expect(await timed(notes.getOrSet(USER, id, load))).toEqual(current());
    loads = 0;
  }
  return slowestMs;
}

function expectSound(health: CacheHealth): void {
  expect(health).toMatchObject({ status: "ok", pendingRemovals: 0, coherence: "tracking" });
}

describe.each(FAULTS)("with a Redis that is $fault, a cache", ({ password, strike, mend, told }) => {
  test("gives right results in time, says what is wrong, and comes back by itself", async () => {
    const redis = openGuard(password);
    const cache = openNotes(redis);
    const { notes } = cache.families;
    if (password === undefined) {
      expect(await cache.ready(10_000)).toBe(true);
      await exercise(cache, "before");
      for (const way of WAYS) await notes.set(USER, `old-${way}`, { text: "old" });
    }
    await strike(server, stranger);
    const lateness = monitorEventLoopDelay({ resolution: 1 });
    lateness.enable();
    for (const way of WAYS) await invalidateNote(cache, `old-${way}`, way);
    const slowestMs = await exercise(cache, "need");
    lateness.disable();
    await waitFor(async () => {
      await notes.set(USER, "kept", { text: "here" });
      return (await notes.get(USER, "kept"))?.text === "here";
    });
    expect(slowestMs).toBeLessThan(TIMEOUT_MS + lateness.max / 1e6 + 2_000);
    expect(cache.health().status).toBe("degraded");
    await waitFor(() => told.test(cache.health().breaker?.lastError ?? ""), { what: String(told) });

    await mend(server, stranger);
    await waitFor(() => {
      // What was refused on its way home, too, is old by now.
      refusalsAge += REFUSAL_MS;
      expectSound(cache.health());
      return true;
    });
    for (const way of WAYS) expect(await notes.get(USER, `old-${way}`)).toBeUndefined();
    await exercise(cache, "after");
    expectSound(cache.health());
    // Others see it, and it sees others.
    await notes.set(USER, "shared", { text: "shared" });
    await waitFor(async () => (await notes.get(USER, "shared")) && notes.peek(USER, "shared"));
    const another = openNotes(redis);
    expect(await another.ready(10_000)).toBe(true);
    expect(await another.families.notes.get(USER, "shared")).toEqual({ text: "shared" });
    await stranger.del(keyOf("shared"));
    await waitFor(() => notes.peek(USER, "shared") === undefined);
  });
});
