import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { type GuardedRedis, openGuardedRedis, waitForRedis } from "@mythic/shared/redis";
import { PATIENT_MS, startRedis, type TestRedis } from "@mythic/testing/redis";
import { waitFor } from "@mythic/testing/wait";
import { Redis } from "ioredis";
import { createSealer } from "../../src/answers/sealing.ts";
import type { FlightNote, Flights } from "../../src/flight/flights.ts";
import { type FlightsOptions, openFlights } from "../../src/flight/open-flights.ts";
import { Leads, Reading } from "./leads.ts";

const KEY = "v1.a-key";
/** Where it is not to end. */
const LEASE_MS = 20_000;
/** Where Redis is hurt: short, so that it is noticed soon, and yet longer than a busy machine keeps Redis or a process waiting. */
const HURT = { commandTimeoutMs: 1_000, leaseMs: 2_000 };
/** Of leads, whose tokens are UUIDs. */
const STREAMS = "test:flight:{*}:????????-*";
/** The breaker's time-out for commands, the longest silence after which a follower asks, and a busy machine. */
const NOTICED_MS = HURT.commandTimeoutMs + 500 + 3_500;

let stack: AsyncDisposableStack;
let server: TestRedis;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  server = stack.use(await startRedis());
});
afterEach(() => stack.disposeAsync());

interface Member {
  readonly flights: Flights;
  readonly redis: GuardedRedis;
  readonly notes: FlightNote["kind"][];
}

interface OpenOptions extends Partial<FlightsOptions> {
  /** Patient unless told. */
  readonly commandTimeoutMs?: number;
}

async function open({ commandTimeoutMs = PATIENT_MS, ...options }: OpenOptions = {}): Promise<Member> {
  const redis = openGuardedRedis(server.url, { probeAfterMs: 200, commandTimeoutMs });
  stack.defer(() => redis.close());
  expect(await waitForRedis(redis, 10_000)).toBe(true);
  const notes: FlightNote["kind"][] = [];
  const flights = openFlights({
    redis,
    namespace: "test",
    leaseMs: LEASE_MS,
    onEvent: ({ kind }) => notes.push(kind),
    ...options,
  });
  stack.defer(() => flights.close());
  return { flights, redis, notes };
}

/** Three members in mid-flight, of which the first leads, the third with two callers. */
async function midFlight(options: OpenOptions = {}) {
  const members = [await open(options), await open(options), await open(options)] as const;
  const leads = new Leads();
  const join = ({ flights }: Member) =>
    new Reading((signal) => flights.join(KEY, { signal, lead: leads.lead }));
  const leader = join(members[0]);
  const lead = await leads.at(0);
  const followers = [members[1], members[2], members[2]].map(join);
  lead.emit("a");
  for (const reading of [leader, ...followers]) await reading.until("a");
  return { members, leads, join, leader, lead, followers };
}

async function client(): Promise<Redis> {
  return stack.adopt(new Redis(server.url), async (connection) => connection.disconnect());
}

describe.each([
  ["freezes", (redis: TestRedis) => redis.pause()],
  ["is stopped", (redis: TestRedis) => redis.stop()],
])("when Redis %s in mid-flight", (_what, hurt) => {
  test("its leader goes on undisturbed, and each other process makes one call at most, soon", async () => {
    const { members, leads, leader, lead, followers } = await midFlight(HURT);
    await hurt(server);
    const hurtAt = performance.now();
    const [second, third] = [await leads.at(1), await leads.at(2)];
    expect(performance.now() - hurtAt).toBeLessThan(NOTICED_MS);
    lead.emit("b");
    await leader.until("ab");
    for (const own of [second, third]) {
      own.emit("x");
      own.answer("x");
    }
    await Promise.all(followers.map(({ done }) => done));
    for (const { text, end } of followers) {
      expect(text).toBe("a|x");
      expect(end).toMatchObject({ outcome: { answer: { text: "x" } } });
    }
    await waitFor(() => members[0].notes.includes("alone"), { what: "the leader to have noticed" });
    expect(await lead.holds()).toBe(true);
    lead.answer("ab");
    await leader.done;
    expect(leader.end).toMatchObject({ role: "leader", outcome: { answer: { text: "ab" } } });
    expect([leads.begun.length, lead.signal.aborted]).toEqual([3, false]);
  });

  test("a process on its own aborts its call when its callers leave", async () => {
    const { leads, followers } = await midFlight(HURT);
    await hurt(server);
    const [second, third] = [await leads.at(1), await leads.at(2)];
    await Promise.all(followers.map((follower) => follower.leave()));
    await waitFor(() => second.signal.aborted && third.signal.aborted);
  });
});

test("while Redis is gone the callers of a process share, and once it is back those of all processes do", async () => {
  const [one, two] = [await open(), await open()];
  await server.stop();
  await waitFor(() => one.redis.breaker.state === "open" && two.redis.breaker.state === "open");
  const leads = new Leads();
  const join = ({ flights }: Member) =>
    new Reading((signal) => flights.join(KEY, { signal, lead: leads.lead }));
  const alone = [join(one), join(one), join(one)];
  (await leads.at(0)).answer("a");
  await Promise.all(alone.map(({ done }) => done));
  expect(alone.map(({ end }) => end?.role)).toEqual(["leader", "follower", "follower"]);
  expect(leads.begun.length).toBe(1);
  await server.start();
  for (const { redis } of [one, two]) expect(await waitForRedis(redis, 10_000)).toBe(true);
  const shared = [join(one), join(two)];
  (await leads.at(1)).answer("b");
  await Promise.all(shared.map(({ done }) => done));
  expect(leads.begun.length).toBe(2);
});

test("who joins while Redis is frozen leads when its time-out is over", async () => {
  const { flights, notes } = await open({ commandTimeoutMs: 200 });
  await server.pause();
  const joinedAt = performance.now();
  const leads = new Leads();
  const reading = new Reading((signal) => flights.join(KEY, { signal, lead: leads.lead }));
  (await leads.at(0)).answer("a");
  await reading.done;
  // A lease is four times as long.
  expect(performance.now() - joinedAt).toBeLessThan(LEASE_MS / 4);
  expect(notes).toEqual(["alone", "led"]);
});

test("a Redis that is away for less than a lease disturbs nobody who leads", async () => {
  const { flights, notes } = await open({ commandTimeoutMs: HURT.commandTimeoutMs });
  const leads = new Leads();
  const leader = new Reading((signal) => flights.join(KEY, { signal, lead: leads.lead }));
  const lead = await leads.at(0);
  lead.emit("a");
  const reader = await client();
  const written = async () =>
    JSON.stringify(
      await Promise.all((await reader.keys(STREAMS)).map((key) => reader.xrange(key, "-", "+"))),
    );
  await waitFor(async () => (await written()).includes('\\"a\\"'));
  await server.pause();
  lead.emit("b");
  expect(await lead.holds()).toBe(true);
  lead.emit("c");
  await server.resume();
  await waitFor(async () => (await written()).includes('\\"c\\"'), { what: "the rest to be written" });
  expect((await written()).match(/\\"[abc]\\"/g)).toEqual(['\\"a\\"', '\\"b\\"', '\\"c\\"']);
  expect(notes).toEqual(["led"]);
  lead.answer("abc");
  await leader.done;
});

test("a Redis that is wiped in mid-flight costs one call more in all, and all get the same", async () => {
  const { leads, leader, lead, followers } = await midFlight();
  await server.wipe();
  const next = await leads.at(1);
  next.emit("x");
  const all = [leader, ...followers];
  lead.emit("z");
  await waitFor(() => lead.signal.aborted, { what: "the first lead to be aborted" });
  expect(await lead.holds()).toBe(false);
  next.answer("x");
  await Promise.all(all.map(({ done }) => done));
  for (const { end } of all) expect(end).toMatchObject({ outcome: { answer: { text: "x" } } });
  for (const { text } of followers) expect(text).toBe("a|x");
  expect(leads.begun.length).toBe(2);
});

test("a follower that was not told asks", async () => {
  const { followers, leader, lead } = await midFlight();
  const other = await client();
  const kill = async () => await other.call("CLIENT", "KILL", "TYPE", "pubsub");
  expect(await kill()).toBe(2);
  lead.emit("b");
  await Promise.all(followers.map((follower) => follower.until("ab")));
  lead.emit("c");
  lead.answer("abc");
  await Promise.all([leader, ...followers].map(({ done }) => done));
  for (const { text } of followers) expect(text).toBe("abc");
});

test("a part that Redis lost is not passed over: who missed it gets the whole with the end", async () => {
  const { members, leads, leader, lead } = await midFlight();
  const other = await client();
  const [stream = ""] = await other.keys(STREAMS);
  await other.del(stream);
  lead.emit("b");
  await leader.until("ab");
  const late = new Reading((signal) => members[1].flights.join(KEY, { signal, lead: leads.lead }));
  const later = await open();
  const latest = new Reading((signal) => later.flights.join(KEY, { signal, lead: leads.lead }));
  await late.until("ab");
  lead.answer("ab");
  await latest.done;
  expect(latest.text).toBe("");
  expect(latest.end).toMatchObject({ role: "follower", outcome: { answer: { text: "ab" } } });
});

test("what outgrows the stream is not kept, and comes with the end", async () => {
  const [one, two] = [await open(), await open()];
  const leads = new Leads();
  const join = ({ flights }: Member) =>
    new Reading((signal) => flights.join(KEY, { signal, lead: leads.lead }));
  const leader = join(one);
  const lead = await leads.at(0);
  const megabyte = "m".repeat(1_000_000);
  const follower = join(two);
  for (let count = 1; count <= 12; count += 1) {
    lead.emit(megabyte);
    await waitFor(() => follower.events.length >= Math.min(count, 9), { what: `megabyte ${count}` });
  }
  lead.answer("all");
  await Promise.all([leader.done, follower.done]);
  expect(leader.text.length).toBe(12_000_000);
  expect(follower.text.length).toBe(9_000_000);
  expect(follower.end).toMatchObject({ outcome: { answer: { text: "all" } } });
});

test("closing hands a flight over to those in another process at once", async () => {
  const { members, leads, leader, lead, followers } = await midFlight();
  const closedAt = performance.now();
  await members[0].flights.close();
  const next = await leads.at(1);
  // Nobody waits for the lease to end.
  expect(performance.now() - closedAt).toBeLessThan(LEASE_MS / 4);
  expect(lead.signal.aborted).toBe(true);
  await leader.done;
  expect(leader.error).toBeInstanceOf(Error);
  next.emit("x");
  next.answer("x");
  await Promise.all(followers.map(({ done }) => done));
  for (const { text } of followers) expect(text).toBe("a|x");
  expect(leads.begun.length).toBe(2);
});

test("a fault of a leader is told to other processes without its words", async () => {
  const { leader, lead, followers } = await midFlight();
  lead.fail(new TypeError("secret is not a function"));
  await Promise.all([leader, ...followers].map(({ done }) => done));
  for (const { end } of followers) {
    expect(end).toMatchObject({ outcome: { kind: "failed", failure: { code: "model_unavailable" } } });
    expect(JSON.stringify(end)).not.toContain("secret");
  }
});

test("a fast stream costs far fewer commands than it has chunks", async () => {
  const { leader, lead, followers } = await midFlight();
  const other = await client();
  const calls = async () =>
    Number(/cmdstat_publish:calls=(\d+)/.exec(await other.info("commandstats"))?.[1] ?? 0);
  const before = await calls();
  const since = performance.now();
  for (let count = 0; count < 1_000; count += 1) {
    lead.emit(".");
    if (count % 10 === 0) await new Promise(setImmediate);
  }
  lead.answer("a…");
  await Promise.all([leader, ...followers].map(({ done }) => done));
  for (const { text } of followers) expect(text).toBe(`a${".".repeat(1_000)}`);
  const ms = performance.now() - since;
  expect((await calls()) - before).toBeLessThanOrEqual(ms / 5 + 2);
});

test("sealed flights are unreadable in Redis, and read by who has the key", async () => {
  const sealer = createSealer(["ab".repeat(32)]);
  const [one, two] = [await open({ sealer }), await open({ sealer })];
  const leads = new Leads();
  const leader = new Reading((signal) => one.flights.join(KEY, { signal, lead: leads.lead }));
  const lead = await leads.at(0);
  const follower = new Reading((signal) => two.flights.join(KEY, { signal, lead: leads.lead }));
  const heard: string[] = [];
  const eavesdropper = await client();
  eavesdropper.on("pmessage", (_pattern, _channel, message: string) => heard.push(message));
  await eavesdropper.psubscribe("*");
  lead.emit("diary");
  await follower.until("diary");
  lead.answer("diary");
  await Promise.all([leader.done, follower.done]);
  const reader = await client();
  const keys = await reader.keys(STREAMS);
  const entries = await Promise.all(keys.map((key) => reader.xrange(key, "-", "+")));
  await waitFor(() => heard.length === 2);
  expect(JSON.stringify([entries, heard])).toContain("mythic-sealed");
  expect(JSON.stringify([entries, heard])).not.toContain("diary");
});
