import { expect, test } from "@jest/globals";
import { openCache } from "@mythic/shared/cache";
import { openGuardedRedis } from "@mythic/shared/redis";
import { PATIENT_MS, startRedis } from "@mythic/testing/redis";
import { waitFor } from "@mythic/testing/wait";
import { Redis } from "ioredis";
import { DrivenClock } from "./driven-clock.ts";
import { noteFamily } from "./note.ts";

const TTL_MS = 60_000;
const LINGER_MS = 5_000;

/** A cache, the names of the commands that it sends, in upper case, and how long its only value has left in Redis. */
async function openWatched(stack: AsyncDisposableStack) {
  const server = stack.use(await startRedis());
  const clock = new DrivenClock();
  const redis = openGuardedRedis(server.url, { commandTimeoutMs: PATIENT_MS });
  stack.defer(() => redis.close());
  const families = { notes: noteFamily({ ttlMs: TTL_MS, lingerMs: LINGER_MS }) };
  const cache = openCache({
    namespace: "test",
    families,
    redis,
    clock: clock.now,
    heartbeatMs: 86_400_000,
  });
  stack.defer(() => cache.close());
  await cache.ready(PATIENT_MS);
  const client = new Redis(server.url);
  stack.defer(() => client.disconnect());
  const monitor = await client.monitor();
  stack.defer(() => monitor.disconnect());
  const commands: string[] = [];
  monitor.on("monitor", (_time: string, [name = ""]: readonly string[], source: string) => {
    if (source !== "lua") commands.push(name.toUpperCase());
  });
  const { notes } = cache.families;
  return {
    clock,
    notes,
    /** What was sent since the last time. */
    sent: async () => {
      await client.echo("now");
      await waitFor(() => commands.includes("ECHO"));
      return commands.splice(0).filter((name) => name !== "ECHO");
    },
    leftMs: async () => await client.pttl((await notes.explain("ann", "1")).key),
  };
}

test("what this process knows to be past its time is loaded without being looked for first", async () => {
  await using stack = new AsyncDisposableStack();
  const { clock, notes, sent } = await openWatched(stack);
  await notes.getOrSet("ann", "1", () => ({ text: "first" }));
  // Once the news of what was stored has dropped the copy, and it was read again, nothing more is asked.
  let wasRead = false;
  await waitFor(async () => {
    await notes.get("ann", "1");
    const isAsked = (await sent()).includes("GET");
    wasRead ||= isAsked;
    return wasRead && !isAsked;
  });
  clock.advance(TTL_MS);
  expect(await notes.getOrSet("ann", "1", () => ({ text: "second" }))).toEqual({ text: "second" });
  expect(await sent()).toEqual(["EVALSHA", "EVALSHA"]);
});

test("Redis keeps a value that lingers for longer than it may be served, so that it can be replaced before everybody is told of its end", async () => {
  await using stack = new AsyncDisposableStack();
  const { clock, notes, leftMs } = await openWatched(stack);
  await notes.set("ann", "1", { text: "first" });
  const left = await leftMs();
  expect(left).toBeGreaterThan(TTL_MS);
  expect(left).toBeLessThanOrEqual(TTL_MS + LINGER_MS);
  clock.advance(TTL_MS);
  expect(await notes.get("ann", "1")).toBeUndefined();
});
