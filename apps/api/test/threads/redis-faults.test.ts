import { describe, expect, test } from "@jest/globals";
import { closeRedis, connectRedis } from "@mythic/shared/redis";
import { startRedis } from "@mythic/testing/redis";
import { waitFor } from "@mythic/testing/wait";
import { redisSchema } from "../../src/wire/health.ts";
import { type AnsweringApi, type AnsweringApiOptions, startAnsweringApi } from "../answering-api.ts";
import { ask, askStreamed } from "./ask.ts";
import { startSlowProxy } from "./slow-proxy.ts";

/** The longest that a command of Redis is waited for. */
const TIMEOUT_MS = 600;
/** For everything else that a request takes on a machine that is busy. */
const SLACK_MS = 2_500;
/** Redis is tried again every five seconds. */
const BACK_MS = 20_000;

async function start(redisUrl: string, options: AnsweringApiOptions = {}): Promise<AnsweringApi | null> {
  const answering = await startAnsweringApi("Redis and MongoDB", {
    ...{ redisUrl, commandTimeoutMs: TIMEOUT_MS },
    ...options,
  });
  if (answering !== null) {
    await waitFor(async () => (await cacheRole(answering)).breaker?.state === "closed");
    // Everything that is asked of Redis for the first time was asked for.
    await ask(await answering.client(), "Warm up.");
  }
  return answering;
}

async function cacheRole({ api }: AnsweringApi) {
  const { authorization } = await api.key("root", "admin");
  const response = await fetch(`${api.url}/health/redis`, { headers: { authorization } });
  return redisSchema.parse(await response.json()).roles.cache;
}

async function msOf(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}

/** What the API says of Redis may be a second old. */
const untilGivenUp = (answering: AnsweringApi) =>
  waitFor(
    async () => {
      const { breaker } = await cacheRole(answering);
      return breaker && breaker.state !== "closed" && breaker;
    },
    { what: "Redis to be given up" },
  );

const untilBack = (answering: AnsweringApi) =>
  waitFor(async () => (await cacheRole(answering)).breaker?.state === "closed", { timeoutMs: BACK_MS });

describe("with a Redis that", () => {
  test("takes a second for each reply, one request waits a little, and the others not at all [T14 litellm#24181] [T22 litellm#30211]", async () => {
    await using redis = await startRedis();
    await using proxy = await startSlowProxy(redis.port);
    await using answering = await start(`redis://127.0.0.1:${proxy.port}`);
    if (answering === null) return;
    const { fake } = answering;
    const client = await answering.client();
    await ask(client, "Known?");
    const before = fake.calls().length;
    proxy.delayMs = 1_000;
    // Its key, its limit, its look, its flight and its entry all want something of Redis.
    expect(await msOf(() => ask(client, "The first."))).toBeLessThan(2 * TIMEOUT_MS + SLACK_MS);
    const breaker = answering.api.caching.redis?.breaker;
    const timeouts = breaker?.snapshot().timeouts ?? 0;
    expect(timeouts).toBeGreaterThan(0);
    for (let number = 0; number < 30; number += 1) {
      await (number % 2 === 0 ? ask : askStreamed)(client, `Number ${number}?`);
    }
    // None of them waited in vain, be it for its limit alone: whoever did looked whether Redis is back.
    expect(breaker?.snapshot().timeouts).toBeLessThanOrEqual(timeouts + 2);
    expect(fake.calls()).toHaveLength(before + 31);
    proxy.delayMs = 0;
    await untilBack(answering);
    await ask(client, "Well again?");
    expect((await ask(client, "Well again?")).cache).toBe("hit");
  }, 60_000);

  test("answers with errors is given up, although no caller hears of them, and taken up again [T15 litellm#34299]", async () => {
    await using redis = await startRedis();
    await using answering = await start(redis.url);
    if (answering === null) return;
    const client = await answering.client();
    await using stack = new AsyncDisposableStack();
    const operator = stack.adopt(connectRedis(redis.url, "queue-producer"), closeRedis);
    await waitFor(() => operator.status === "ready");
    // A replica that has never heard of its primary answers every question with MASTERDOWN.
    await operator.call("CONFIG", "SET", "replica-serve-stale-data", "no");
    // Else writes are refused as such, for which the connection is made anew.
    await operator.call("CONFIG", "SET", "replica-read-only", "no");
    await operator.call("REPLICAOF", "127.0.0.1", "1");
    for (let number = 0; number < 3; number += 1) await ask(client, `Number ${number}?`);
    const { errors, opens } = await untilGivenUp(answering);
    expect(errors).toBeGreaterThanOrEqual(3);
    expect(opens).toBe(1);
    await operator.call("REPLICAOF", "NO", "ONE");
    await untilBack(answering);
    await ask(client, "Well again?");
    expect((await ask(client, "Well again?")).cache).toBe("hit");
  }, 60_000);

  test("is frozen, callers are answered as fast as without one, and callers of the same share a call [T16 litellm#35273]", async () => {
    await using redis = await startRedis();
    await using answering = await start(redis.url);
    if (answering === null) return;
    const { fake } = answering;
    const client = await answering.client();
    await redis.pause();
    expect(await msOf(() => ask(client, "The first."))).toBeLessThan(2 * TIMEOUT_MS + SLACK_MS);
    fake.script({ match: "The same.", latencyMs: 600 });
    const before = fake.calls().length;
    const all = await Promise.all([
      ...[1, 2, 3, 4].map(() => ask(client, "The same.")),
      ...[1, 2, 3, 4].map(() => askStreamed(client, "The same.")),
    ]);
    expect(new Set(all.map(({ text }) => text)).size).toBe(1);
    expect(fake.calls()).toHaveLength(before + 1);
    expect((await ask(client, "The same.")).cache).toBe("hit");
    await redis.resume();
    await untilBack(answering);
  }, 60_000);

  test("freezes while an answer is on its way, the answer arrives, and its end is not waited for [T16 litellm#35273]", async () => {
    await using redis = await startRedis();
    await using answering = await start(redis.url);
    if (answering === null) return;
    const { fake } = answering;
    const client = await answering.client();
    fake.script({ match: "On its way?", latencyMs: 300, chunkMs: 30 });
    const before = fake.calls().length;
    const asking = msOf(async () => {
      const { text, chunks } = await askStreamed(client, "On its way?");
      expect(text).not.toBe("");
      expect(chunks.at(-1)?.usage?.total_tokens).toBeGreaterThan(0);
    });
    await waitFor(() => fake.calls().length > before, { everyMs: 1 });
    await redis.pause();
    expect(await asking).toBeLessThan(300 + 20 * 30 + 2 * TIMEOUT_MS + SLACK_MS);
    await redis.resume();
    await untilBack(answering);
    expect(fake.calls()).toHaveLength(before + 1);
  }, 60_000);

  test("is frozen while many wait for it, is given up by the first time-out of them all [T17 litellm#40672]", async () => {
    await using redis = await startRedis();
    await using answering = await start(redis.url);
    if (answering === null) return;
    const client = await answering.client();
    const crowd = (name: string) =>
      msOf(() => Promise.all(Array.from({ length: 6 }, (_, number) => ask(client, `${name} ${number}?`))));
    await redis.pause();
    expect(await crowd("Waiting")).toBeLessThan(2 * TIMEOUT_MS + SLACK_MS);
    const breaker = answering.api.caching.redis?.breaker;
    const { opens = 0, timeouts = 0 } = breaker?.snapshot() ?? {};
    expect([opens, timeouts > 0]).toEqual([1, true]);
    // Nobody waits in line for it any more: no time-out is added but that of whoever looks whether it is back.
    for (const name of ["Later", "Later still", "Much later"]) await crowd(name);
    expect(breaker?.snapshot().timeouts).toBeLessThanOrEqual(timeouts + 1);
    await untilGivenUp(answering);
    await redis.resume();
    await untilBack(answering);
  }, 60_000);
});
