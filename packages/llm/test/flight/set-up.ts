import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, expect } from "@jest/globals";
import { type GuardedRedis, openGuardedRedis, primariesOf, waitForRedis } from "@mythic/shared/redis";
import { PATIENT_MS, redisUrl } from "@mythic/testing/redis";
import { startRedisCluster } from "@mythic/testing/redis-cluster";
import type { FlightNote, Flights } from "../../src/flight/flights.ts";
import { type FlightsOptions, openFlights } from "../../src/flight/open-flights.ts";

/** Flights of one process. */
export interface Member {
  readonly flights: Flights;
  /** What it told of itself. */
  readonly notes: FlightNote["kind"][];
}

/** What the suite runs on. */
export interface SetUp {
  /** Opens so many members that share flights: processes, as far as Redis can tell, or one process without Redis. */
  open(count: number, options?: Partial<FlightsOptions>): Promise<readonly Member[]>;
  /** Looks at all keys of this test's members: how long each is kept, in milliseconds, -1 for ever. None without Redis. */
  keysLeft(): Promise<ReadonlyMap<string, number>>;
}

/** Makes the set-up for the tests of a file. */
export function useSetUp(redis: "server" | "cluster" | null): SetUp {
  const suite = new AsyncDisposableStack();
  let single = new AsyncDisposableStack();
  let url = "";
  let namespace = "";
  let guards: GuardedRedis[] = [];

  beforeAll(async () => {
    if (redis === "server") url = await redisUrl();
    if (redis === "cluster") ({ url } = suite.use(await startRedisCluster()));
  });
  afterEach(async () => {
    await single.disposeAsync();
    single = new AsyncDisposableStack();
  });
  afterAll(() => suite.disposeAsync());

  async function connect(): Promise<GuardedRedis | null> {
    if (redis === null) return null;
    const guard = openGuardedRedis(url, { commandTimeoutMs: PATIENT_MS });
    single.defer(() => guard.close());
    expect(await waitForRedis(guard, 10_000)).toBe(true);
    guards.push(guard);
    return guard;
  }

  async function openOne(options: Partial<FlightsOptions>): Promise<Member> {
    const notes: FlightNote["kind"][] = [];
    const onEvent = (note: FlightNote) => void notes.push(note.kind);
    const flights = openFlights({ redis: await connect(), namespace, onEvent, ...options });
    single.defer(() => flights.close());
    return { flights, notes };
  }

  return {
    async open(count, options = {}) {
      namespace = `test-${randomUUID()}`;
      guards = [];
      if (redis !== null) return await Promise.all(Array.from({ length: count }, () => openOne(options)));
      const one = await openOne(options);
      return Array.from({ length: count }, () => one);
    },
    async keysLeft() {
      const kept = new Map<string, number>();
      for (const server of guards.slice(0, 1).flatMap(({ connection }) => primariesOf(connection))) {
        const keys = await server.keys(`${namespace}*`);
        for (const key of keys) kept.set(key, await server.pttl(key));
      }
      return kept;
    },
  };
}
