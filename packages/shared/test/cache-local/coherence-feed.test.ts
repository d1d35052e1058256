import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { startRedis, type TestRedis } from "@mythic/testing/redis";
import { waitFor } from "@mythic/testing/wait";
import type { Redis } from "ioredis";
import {
  connectStranger,
  HEARTBEAT_MS,
  killConnections,
  type Listening,
  listen,
  PREFIX,
} from "./listening.ts";

let server: TestRedis;
let stranger: Redis;
let stack: AsyncDisposableStack;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  server = stack.use(await startRedis());
  stranger = stack.use(await connectStranger(server.url));
  await addUser();
});

afterEach(async () => {
  await stack.disposeAsync();
});

async function addUser(): Promise<void> {
  await stranger.call("ACL", "SETUSER", "untracked", "on", ">word", "~*", "&*", "+@all", "-client|tracking");
}

function addressFor(user: string): string {
  return server.url.replace("redis://", `redis://${user}`);
}

function open(user: string): Listening {
  return stack.use(listen(addressFor(user)));
}

const FEEDS = [
  {
    state: "tracking",
    user: "",
    /** A process changes a key, and does what a cache does then. */
    async change(_other: Listening, key: string) {
      await stranger.set(key, "new");
    },
  },
  {
    state: "pub-sub",
    user: "untracked:word@",
    async change(other: Listening, key: string) {
      other.feed.publish([key]);
    },
  },
] as const;

describe.each(FEEDS)("a coherence feed by $state", ({ state, user, change }) => {
  async function openBoth() {
    const [feed, other] = [open(user), open(user)];
    await Promise.all([feed.reaches(state), other.reaches(state)]);
    return { feed, other };
  }

  test("tells what another process changed", async () => {
    const { feed, other } = await openBoth();
    expect(feed.isTrusted()).toBe(true);
    await change(other, `${PREFIX}{ann}:v:books.1:mine`);
    await feed.hears(`${PREFIX}{ann}:v:books.1:mine`);
  });

  test("tells everything to be invalid when it begins to hear, and is trusted from then on only", async () => {
    const feed = open(user);
    expect(feed.feed.state).toBe("off");
    await feed.reaches(state);
    expect(feed.states).toEqual(["lost", state]);
    expect(feed.isTrusted()).toBe(true);
  });

  test("publishes each of its states for diagnostics", async () => {
    const events: unknown[] = [];
    const listener = (event: unknown) => events.push(event);
    subscribe("mythic:cache:coherence", listener);
    stack.defer(() => void unsubscribe("mythic:cache:coherence", listener));
    await open(user).reaches(state);
    expect(events).toEqual([
      { prefix: PREFIX, state: "lost" },
      { prefix: PREFIX, state },
    ]);
  });

  test("stays as it is while heartbeats are answered", async () => {
    const { feed } = await openBoth();
    const before = feed.flushes();
    const until = feed.feed.trustedUntil;
    await waitFor(() => {
      expect(feed.isTrusted()).toBe(true);
      return feed.feed.trustedUntil > until + 3 * HEARTBEAT_MS;
    });
    expect(feed.flushes()).toBe(before);
    expect(feed.feed.state).toBe(state);
  });

  test("is lost with its connection, tells so, and hears again by itself", async () => {
    const { feed, other } = await openBoth();
    const before = feed.flushes();
    expect(await killConnections(stranger, "mythic:tracking")).toBe(2);
    await feed.isFlushedAfter(before);
    await Promise.all([feed.reaches(state), other.reaches(state)]);
    expect(feed.states.slice(before)).toEqual(["lost", state]);
    await change(other, `${PREFIX}after`);
    await feed.hears(`${PREFIX}after`);
  });

  test("begins anew when the connection for commands was lost, as that may lead to another server now", async () => {
    const { feed, other } = await openBoth();
    const before = feed.flushes();
    expect(await killConnections(stranger, "mythic:cache")).toBe(2);
    await feed.isFlushedAfter(before);
    await Promise.all([feed.reaches(state), other.reaches(state)]);
    expect(feed.states.slice(before)).toEqual(["off", "lost", state]);
    await change(other, `${PREFIX}after`);
    await feed.hears(`${PREFIX}after`);
  });

  test("is not trusted two heartbeats after the server froze, is lost then, and comes back with it", async () => {
    const { feed, other } = await openBoth();
    const before = feed.flushes();
    await server.pause();
    const frozenAt = performance.now();
    await waitFor(() => !feed.isTrusted(), { everyMs: 2 });
    expect(feed.feed.trustedUntil).toBeLessThan(frozenAt + 2 * HEARTBEAT_MS);
    await feed.reaches("lost");
    await server.resume();
    await Promise.all([feed.reaches(state), other.reaches(state)]);
    expect(feed.states.slice(before)).toEqual(["lost", state]);
    await change(other, `${PREFIX}after`);
    await feed.hears(`${PREFIX}after`);
  });

  test("is off while the server is gone, and begins anew with the next one", async () => {
    const { feed, other } = await openBoth();
    await server.stop();
    await feed.reaches("off");
    expect(feed.feed.trustedUntil).toBe(Number.POSITIVE_INFINITY);
    const before = feed.flushes();
    await server.start();
    await addUser();
    await Promise.all([feed.reaches(state), other.reaches(state)]);
    expect(feed.states.slice(before)).toEqual(["lost", state]);
    await change(other, `${PREFIX}after`);
    await feed.hears(`${PREFIX}after`);
  });

  test("does not trust what it heard while its process stood still, and loses nothing by that", async () => {
    let offset = 0;
    const feed = stack.use(listen(addressFor(user), { clock: () => performance.now() + offset }));
    await feed.reaches(state);
    const before = feed.flushes();
    offset = 60_000;
    expect(feed.isTrusted()).toBe(false);
    await waitFor(() => feed.isTrusted());
    expect(feed.flushes()).toBe(before);
  });

  test("tells nothing of keys that begin otherwise", async () => {
    const { feed, other } = await openBoth();
    await stranger.set("other:c:key", "new");
    await change(other, `${PREFIX}key`);
    await feed.hears(`${PREFIX}key`);
    expect(feed.keys).toEqual([`${PREFIX}key`]);
  });

  test("tells keys as they are, whatever characters are in them", async () => {
    const { feed, other } = await openBoth();
    const key = `${PREFIX}{naïve "user"}:v:f.1:日本,\n`;
    await change(other, key);
    await feed.hears(key);
  });

  test("leaves no connection behind", async () => {
    const { feed, other } = await openBoth();
    await feed[Symbol.asyncDispose]();
    await other[Symbol.asyncDispose]();
    await waitFor(async () => !String(await stranger.client("LIST")).includes("name=mythic:"));
  });
});

describe("a coherence feed by tracking", () => {
  async function openFeed(): Promise<Listening> {
    const feed = open("");
    await feed.reaches("tracking");
    return feed;
  }

  test("tells of keys that a stranger deletes", async () => {
    await stranger.set(`${PREFIX}key`, "value");
    const feed = await openFeed();
    await stranger.del(`${PREFIX}key`);
    await feed.hears(`${PREFIX}key`);
  });

  test("tells of keys whose time is up", async () => {
    const feed = await openFeed();
    await stranger.set(`${PREFIX}key`, "value", "PX", 150);
    await waitFor(() => feed.keys.length === 2, { what: "its making and its end" });
    expect(await stranger.exists(`${PREFIX}key`)).toBe(0);
  });

  test("tells of keys that Redis evicts", async () => {
    await stranger.set(`${PREFIX}key`, "value");
    const feed = await openFeed();
    await stranger.config("SET", "maxmemory-policy", "allkeys-lru");
    await stranger.config("SET", "maxmemory", "1");
    // Redis makes room when it is asked to store.
    await stranger.set("more", "value").catch(() => undefined);
    await feed.hears(`${PREFIX}key`);
    expect(await stranger.exists(`${PREFIX}key`)).toBe(0);
  });

  test.each(["flushall", "flushdb"] as const)("tells of %s", async (flush) => {
    await stranger.set(`${PREFIX}key`, "value");
    const feed = await openFeed();
    const before = feed.flushes();
    await stranger[flush]();
    await feed.isFlushedAfter(before);
    expect(feed.feed.state).toBe("tracking");
  });

  test("tells of many keys changed at once", async () => {
    const feed = await openFeed();
    const keys = Array.from({ length: 5_000 }, (_, index) => `${PREFIX}${index}`);
    await stranger.mset(Object.fromEntries(keys.map((key) => [key, "value"])));
    await waitFor(() => feed.keys.length === keys.length);
    expect(new Set(feed.keys)).toEqual(new Set(keys));
  });

  test("hears on when Redis is full", async () => {
    await stranger.set(`${PREFIX}key`, "value");
    await stranger.config("SET", "maxmemory", "1");
    const feed = await openFeed();
    const until = feed.feed.trustedUntil;
    await waitFor(() => feed.feed.trustedUntil > until + 3 * HEARTBEAT_MS);
    await expect(stranger.set("more", "value")).rejects.toThrow("OOM");
    await stranger.del(`${PREFIX}key`);
    await feed.hears(`${PREFIX}key`);
  });

  test("hears from a replica that is read-only", async () => {
    const primary = stack.use(await startRedis({ args: ["--repl-diskless-sync-delay", "0"] }));
    const writer = stack.use(await connectStranger(primary.url));
    await stranger.replicaof("127.0.0.1", primary.port);
    await waitFor(async () => String(await stranger.info("replication")).includes("master_link_status:up"));
    const feed = await openFeed();
    await writer.set(`${PREFIX}key`, "value");
    await feed.hears(`${PREFIX}key`);
  });
});

describe("a coherence feed by pub/sub", () => {
  async function openTwo(): Promise<readonly [Listening, Listening]> {
    const both = [open("untracked:word@"), open("untracked:word@")] as const;
    await Promise.all(both.map((feed) => feed.reaches("pub-sub")));
    return both;
  }

  test("does not tell a process what it said itself", async () => {
    const [one, other] = await openTwo();
    one.feed.publish([`${PREFIX}own`]);
    await other.hears(`${PREFIX}own`);
    other.feed.publish([`${PREFIX}others`]);
    await one.hears(`${PREFIX}others`);
    expect(one.keys).toEqual([`${PREFIX}others`]);
  });

  test("says later what could not be said at once", async () => {
    const [, other] = await openTwo();
    await stranger.call(
      "ACL",
      "SETUSER",
      "hoarse",
      "on",
      ">word",
      "~*",
      "&*",
      "+@all",
      "-publish",
      "-client|tracking",
    );
    const hoarse = open("hoarse:word@");
    await hoarse.reaches("pub-sub");
    hoarse.feed.publish([`${PREFIX}unsaid`]);
    await waitFor(async () => String(await stranger.info("commandstats")).includes("cmdstat_publish"));
    expect(other.keys).toEqual([]);
    await stranger.call("ACL", "SETUSER", "hoarse", "+publish");
    await other.hears(`${PREFIX}unsaid`);
  });

  test("takes words that it does not understand for a change of everything", async () => {
    const [one] = await openTwo();
    const before = one.flushes();
    await stranger.publish(`${PREFIX}changes`, "gibberish");
    await one.isFlushedAfter(before);
  });

  test("says that everything changed rather than naming very many keys", async () => {
    const [one, other] = await openTwo();
    const before = other.flushes();
    one.feed.publish(Array.from({ length: 20_000 }, (_, index) => `${PREFIX}${index}`));
    await other.isFlushedAfter(before);
    expect(other.keys).toEqual([]);
  });

  test("is lost where channels are forbidden, too, and says why", async () => {
    await stranger.call("ACL", "SETUSER", "mute", "on", ">word", "~*", "resetchannels", "+@all");
    const feed = open("mute:word@");
    await waitFor(() => feed.errors.some(({ message }) => message.includes("NOPERM")));
    expect(feed.feed.state).toBe("lost");
    expect(feed.isTrusted()).toBe(false);
  });
});
