import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { redisUrl } from "@mythic/testing/redis";
import { waitFor } from "@mythic/testing/wait";
import { Redis } from "ioredis";
import { endsOf, LEASE_MS, type Members, untilRead, useMembers } from "./members.ts";

let stack: AsyncDisposableStack;
let members: Members;
let redis: Redis;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  members = await useMembers(stack, await redisUrl());
  redis = stack.adopt(new Redis(await redisUrl()), async (client) => client.disconnect());
});
afterEach(() => stack.disposeAsync());

async function useShortLease(): Promise<void> {
  members = await useMembers(stack, await redisUrl(), LEASE_MS);
}

async function streamsOf(namespace: string): Promise<string> {
  const keys = await redis.keys(`${namespace}:flight:*`);
  const streams = keys.filter((key) => /\}:[\da-f-]{36}$/.test(key));
  const entries = await Promise.all(streams.map((key) => redis.xrange(key, "-", "+")));
  return JSON.stringify(entries);
}

test("100 callers in 4 processes make one call, which is streamed to all of them", async () => {
  const { upstream, start } = members;
  const processes = await Promise.all(Array.from({ length: 4 }, () => start({ callers: 25 })));
  const call = await upstream.at(0);
  call.chunk("a");
  for (const process of processes) await untilRead(process, "a");
  call.chunk("b");
  for (const process of processes) await untilRead(process, "ab");
  call.end();
  const ends = await Promise.all(processes.map((process) => endsOf(process, 25)));
  expect(ends.flat().sort()).toEqual([
    "follower ab",
    "follower ab",
    "follower ab",
    "follower ab",
    "leader ab",
  ]);
  const all = processes.flatMap(({ lines }) => lines);
  expect(all.filter((line) => line.endsWith("= leader ab")).length).toBe(1);
  expect(all.filter((line) => /^\d+ ab$/.test(line)).length).toBe(100);
  expect(upstream.calls.length).toBe(1);
});

describe("a leader that is killed", () => {
  beforeEach(useShortLease);

  test.each([
    ["before the first chunk", "", "xy"],
    ["in mid-stream", "ab", "ab|xy"],
    ["after the last chunk, before the end", "abcdefgh", "abcdefgh|xy"],
  ])("%s is followed by exactly one other within a lease", async (_when, sent, read) => {
    const { upstream, startLed } = members;
    const [leader, ...followers] = await startLed(3);
    const call = await upstream.at(0);
    for (const letter of sent) call.chunk(letter);
    if (sent !== "") for (const follower of followers) await untilRead(follower, sent);
    const killedAt = performance.now();
    leader.signal("SIGKILL");
    const next = await upstream.at(1);
    expect(performance.now() - killedAt).toBeLessThan(LEASE_MS + 3_000);
    next.chunk("x");
    next.chunk("y");
    next.end();
    const ends = await Promise.all(followers.map((follower) => endsOf(follower)));
    expect(ends.flat().sort()).toEqual(["follower xy", "follower xy", "leader xy"]);
    for (const follower of followers) await untilRead(follower, read);
    expect(upstream.calls.length).toBe(2);
    expect(followers.flatMap(({ lines }) => lines).filter((line) => line === "note took_over").length).toBe(
      1,
    );
  });

  test("costs one call more each time", async () => {
    const { upstream, startLed } = members;
    const [leader, ...followers] = await startLed(2);
    leader.signal("SIGKILL");
    await upstream.at(1);
    const second = await waitFor(() => followers.find(({ lines }) => lines.includes("note led")));
    second.signal("SIGKILL");
    const third = await upstream.at(2);
    third.chunk("x");
    third.end();
    const [last] = followers.filter((follower) => follower !== second);
    expect(last && (await endsOf(last))).toEqual(["leader x"]);
    expect(upstream.calls.length).toBe(3);
  });
});

describe("a leader that was frozen past its lease and wakes up", () => {
  beforeEach(useShortLease);

  async function takenOver() {
    const { upstream, startLed } = members;
    const [zombie, follower] = await startLed(1);
    const call = await upstream.at(0);
    call.chunk("a");
    await untilRead(follower as typeof zombie, "a");
    zombie.signal("SIGSTOP");
    return { zombie, follower: follower as typeof zombie, call, next: await upstream.at(1) };
  }

  test("writes nothing, and its callers follow who leads now", async () => {
    const { zombie, follower, call, next } = await takenOver();
    next.chunk("x");
    await untilRead(follower, "a|x");
    call.chunk("z");
    call.end();
    zombie.signal("SIGCONT");
    // What it had in its hands already is for its own callers alone.
    await zombie.line(/^holds false$|^note fenced$/);
    next.chunk("y");
    next.end();
    expect(await endsOf(follower)).toEqual(["leader xy"]);
    await endsOf(zombie);
    expect(zombie.lines).not.toContain("holds true");
    expect(follower.lines.join()).not.toContain("z");
    const written = await streamsOf(members.namespace);
    expect(written).toContain("x");
    expect(written).not.toContain("z");
    expect(members.upstream.calls.length).toBe(2);
  });

  test("aborts its call when that goes on", async () => {
    const { zombie, follower, call, next } = await takenOver();
    zombie.signal("SIGCONT");
    await zombie.line(/^note fenced$/);
    await waitFor(() => call.isAborted, { what: "the call of the one that slept to be aborted" });
    next.chunk("x");
    await untilRead(zombie, "a|x");
    next.end();
    expect(await endsOf(zombie)).toEqual(["follower x"]);
    expect(await endsOf(follower)).toEqual(["leader x"]);
  });

  test("gets what has come to its end meanwhile without another call", async () => {
    const { zombie, follower, next } = await takenOver();
    next.chunk("x");
    next.end();
    expect(await endsOf(follower)).toEqual(["leader x"]);
    zombie.signal("SIGCONT");
    expect(await endsOf(zombie)).toEqual(["follower x"]);
    await untilRead(zombie, "a|x");
    expect(members.upstream.calls.length).toBe(2);
  });
});

test("a leader's process whose callers have left goes on for those in another process", async () => {
  const { upstream, startLed } = members;
  const [leader, follower] = await startLed(1, { leaveAt: "ab" });
  if (follower === undefined) throw new Error("There is no follower.");
  const call = await upstream.at(0);
  call.chunk("a");
  await untilRead(follower, "a");
  call.chunk("b");
  await leader.line(/^0 left$/);
  call.chunk("c");
  call.end();
  expect(await endsOf(follower)).toEqual(["follower abc"]);
  expect(upstream.calls.length).toBe(1);
});

test("a leader's process whose callers have left aborts the call when nobody listens anywhere", async () => {
  const { upstream, startLed } = members;
  await startLed(0, { leaveAt: "a" });
  const call = await upstream.at(0);
  call.chunk("a");
  await waitFor(() => call.isAborted, { what: "the call to be aborted" });
  expect(await redis.keys(`${members.namespace}:*`)).toEqual([]);
});

test("a follower that is killed is not waited for long", async () => {
  // What is renewed often is told soon that nobody waits.
  await useShortLease();
  const { upstream, startLed } = members;
  const [leader, follower] = await startLed(1, { leaveAt: "ab" });
  const call = await upstream.at(0);
  call.chunk("a");
  if (follower) await untilRead(follower, "a");
  follower?.signal("SIGKILL");
  call.chunk("b");
  await leader.line(/^0 left$/);
  await waitFor(() => call.isAborted, { what: "the call to be aborted" });
});

test("a failure is shared with all who wait in all processes", async () => {
  const { upstream, startLed } = members;
  const processes = await startLed(2);
  const call = await upstream.at(0);
  call.chunk("a");
  for (const process of processes) await untilRead(process, "a");
  call.fail();
  const ends = await Promise.all(processes.map((process) => endsOf(process)));
  expect(ends.flat()).toEqual([
    "leader model_unavailable",
    "follower model_unavailable",
    "follower model_unavailable",
  ]);
  expect(upstream.calls.length).toBe(1);
});
