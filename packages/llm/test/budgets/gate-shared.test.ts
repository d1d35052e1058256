import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { startFakeOpenAi } from "@mythic/testing/fake-openai";
import { startProcess } from "@mythic/testing/process";
import { redisUrl, startRedis } from "@mythic/testing/redis";
import { waitFor } from "@mythic/testing/wait";
import { describeGate } from "./gate.suite.ts";
import { admitted, callWith, enterMany, failure, GateHouse, refused } from "./set-up.ts";

describeGate("with Redis", redisUrl);

describe("gates of several processes", () => {
  test("share one appetite", async () => {
    await using house = new GateHouse(await redisUrl());
    const [one, other] = [await house.open(), await house.open()];
    const first = await enterMany(one, callWith(), 5);
    expect(await enterMany(other, callWith())).toHaveLength(3);
    await first[0]?.release();
    await admitted(other.enter(callWith()));
  });

  test("hear of a cool-down without asking", async () => {
    await using redis = await startRedis();
    await using house = new GateHouse(redis.url);
    const [one, other] = [await house.open(), await house.open()];
    await house.isHeardBy(2);
    const waiting = await admitted(other.enter(callWith()));
    const admission = await admitted(one.enter(callWith()));
    admission.report(failure(429, 60_000));
    await waitFor(() => waiting.coolingMs() > 0, { everyMs: 1 });
    await redis.pause();
    expect((await refused(other.enter(callWith()))).reason).toBe("cooling_down");
    await redis.resume();
  });

  test("that opened during a cool-down are told of it by Redis", async () => {
    await using house = new GateHouse(await redisUrl());
    const one = await house.open();
    const admission = await admitted(one.enter(callWith()));
    admission.report(failure(429, 60_000));
    await admission.release();
    const late = await house.open();
    expect((await refused(late.enter(callWith()))).reason).toBe("cooling_down");
  });

  test("share what a user spends", async () => {
    await using house = new GateHouse(await redisUrl());
    const call = callWith({ userLimits: { tokensPerDay: null, costPerDay: 350 } });
    const [one, other] = [await house.open(), await house.open()];
    await enterMany(one, call, 2);
    expect(await enterMany(other, call)).toHaveLength(1);
  });
});

describe("a Redis that was wiped", () => {
  test("does not make a user rich: what is spent is read from the ledger", async () => {
    await using redis = await startRedis();
    await using house = new GateHouse(redis.url);
    const call = callWith({ userLimits: { tokensPerDay: null, costPerDay: 350 } });
    const gate = await house.open();
    const [first, second, third] = await enterMany(gate, call);
    house.sums.add("ada", { cost: 300 });
    await first?.settle({ tokens: 1, cost: 100 });
    await redis.wipe();
    expect(await refused(gate.enter(call))).toMatchObject({ reason: "user_money" });
    // What was let in before is settled in the ledger, and counts once.
    house.sums.cost.set("ada", 120);
    await second?.settle({ tokens: 1, cost: 10 });
    await third?.settle({ tokens: 1, cost: 10 });
    expect(await enterMany(gate, call)).toHaveLength(2);
  });
});

describe("while Redis is away", () => {
  test("every process holds itself to its part of the limits, and money to the ledger", async () => {
    await using redis = await startRedis();
    await using house = new GateHouse(redis.url);
    const gate = await house.open({ instances: 2, periodMs: 3_600_000 });
    await redis.stop();
    expect(await enterMany(gate, callWith({ rpm: 60, model: "other" }))).toHaveLength(3);
    house.sums.add("run1", { cost: 100 });
    const call = callWith({ maxCost: 350 });
    expect(await enterMany(gate, call)).toHaveLength(1);
    expect(await refused(gate.enter(callWith({ maxCost: 150 })))).toMatchObject({
      reason: "max_cost",
      final: false,
    });
  });

  test("what is spent is known to it when it is back", async () => {
    await using redis = await startRedis();
    await using house = new GateHouse(redis.url);
    const gate = await house.open();
    const call = callWith({ maxCost: 350 });
    await (await admitted(gate.enter(call))).settle({ tokens: 1, cost: 0 });
    await redis.stop();
    const [admission] = await enterMany(gate, call, 1);
    house.sums.add("run1", { cost: 300 });
    await admission?.settle({ tokens: 1, cost: 300 });
    await redis.start();
    await waitFor(async () => (await refused(gate.enter(call))).final);
  });

  test("nobody waits for one that is frozen longer than its time-out", async () => {
    await using redis = await startRedis();
    await using house = new GateHouse(redis.url);
    const gate = await house.open({}, 200);
    const [admission] = await enterMany(gate, callWith(), 1);
    await redis.pause();
    const start = performance.now();
    await admitted(gate.enter(callWith()));
    admission?.report(failure(429, 60_000));
    await admission?.settle({ tokens: 1, cost: 1 });
    // Whoever waited for it would do so for ever.
    expect(performance.now() - start).toBeLessThan(10_000);
    expect((await refused(gate.enter(callWith()))).reason).toBe("cooling_down");
    await redis.resume();
  });

  test("what was held when it went lapses, and nothing is held twice", async () => {
    await using redis = await startRedis();
    await using house = new GateHouse(redis.url);
    const gate = await house.open({ leaseMs: 300 }, 1_500);
    const admissions = await enterMany(gate, callWith());
    await redis.pause();
    for (const admission of admissions) await admission.release();
    await redis.resume();
    await waitFor(() => house.isConnected);
    let again = 0;
    await waitFor(async () => {
      again += (await enterMany(gate, callWith())).length;
      return again === 8;
    });
    expect((await refused(gate.enter(callWith()))).reason).toBe("appetite");
  });
});

test("what a process holds is free again soon after it was killed", async () => {
  const LEASE_MS = 2_000;
  await using fake = await startFakeOpenAi();
  fake.script({ does: { kind: "hang" } });
  const url = await redisUrl();
  const namespace = `test-${randomUUID()}`;
  const args = { redis: url, upstream: fake.baseUrl, namespace, loops: 8, lease: LEASE_MS, maxCost: 8 };
  const flat = Object.entries(args).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const file = join(import.meta.dirname, "asking-worker.ts");
  await using worker = await startProcess(file, { args: flat, ready: /^ready$/ });
  await waitFor(() => fake.calls().length === 8, { what: "eight calls" });
  await using house = new GateHouse(url, namespace);
  const gate = await house.open({ leaseMs: LEASE_MS });
  const call = callWith({
    ...{ upstream: { ...callWith().upstream, name: "fake" }, model: "model", maxCost: 8 },
    estimate: { tokens: 1, cost: 1 },
  });
  // Longer than a lease: who is alive keeps what it holds.
  const until = performance.now() + 1.2 * LEASE_MS;
  await waitFor(async () => {
    expect((await refused(gate.enter(call))).reason).toBe("appetite");
    return performance.now() > until;
  });
  worker.signal("SIGKILL");
  await waitFor(async () => (await gate.enter(call)).kind === "open");
  expect(await enterMany(gate, call)).toHaveLength(7);
});
