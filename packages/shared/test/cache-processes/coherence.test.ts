import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { waitFor } from "@mythic/testing/wait";
import { type Crew, gather, holds, keyOf, letsGo, type Member } from "./crew.ts";
import type { Way } from "./notes-child.ts";
import { sharedNow } from "./orders.ts";

const WAYS: readonly { readonly way: Way }[] = [
  { way: "key" },
  { way: "tag" },
  { way: "pattern" },
  { way: "clear" },
];

const HEARTBEAT_MS = 200;
/** Less than a lease, and longer than it takes to fall asleep. */
const DOZE_MS = 500;
/** For so long is shared what is on its way, though nothing be heard: as long as what is kept where there is no Redis. */
const SHARED_MS = 1_000;

let crew: Crew;
let one: Member;
let other: Member;
let id: string;
let count = 0;

beforeAll(async () => {
  crew = await gather({ size: 2 });
  [one, other] = crew.members as [Member, Member];
});
afterAll(async () => {
  await crew[Symbol.asyncDispose]();
});

beforeEach(() => {
  count += 1;
  id = `note-${count}`;
});

describe.each(WAYS)("invalidation by $way in one process", ({ way }) => {
  test("removes the value from the memory of the other", async () => {
    await one.order("set", { id, text: "old" });
    await holds(other, id, "old");
    await one.order("invalidate", { id, way });
    await letsGo(other, id);
    expect(await other.order("obtain", { id, text: "new" })).toBe("new");
    expect(await one.order("obtain", { id, text: "not needed" })).toBe("new");
  });

  test("while the other loads it: that caller gets it, nobody else does [dust#31576, cache#76, gravitino#13106]", async () => {
    await one.order("ask", { id, text: "old" });
    await one.order("begun", id);
    await other.order("invalidate", { id, way });
    await one.order("release", id);
    expect(await one.order("answer", id)).toMatchObject({ text: "old" });
    expect(await one.order("peek", id)).toBeUndefined();
    expect(await other.order("get", id)).toBeUndefined();
    expect(await other.order("obtain", { id, text: "new" })).toBe("new");
    expect(await one.order("obtain", { id, text: "not needed" })).toBe("new");
  });

  test("while the other loads it: who asks there afterwards does not wait for that load", async () => {
    await one.order("ask", { id, text: "old" });
    await one.order("begun", id);
    await other.order("invalidate", { id, way });
    await waitFor(async () => !(await one.order("isLoading", id)), { everyMs: 2 });
    expect(await one.order("obtain", { id, text: "new" })).toBe("new");
    await one.order("release", id);
    expect(await one.order("answer", id)).toMatchObject({ text: "old" });
    expect(await one.order("get", id)).toBe("new");
  });
});

describe("what happens to a value in Redis itself reaches the memory of processes [ioredis#1161, ioredis#1995]:", () => {
  beforeEach(async () => {
    await one.order("set", { id, text: "old" });
  });

  test("a stranger's DEL", async () => {
    await holds(one, id, "old");
    await holds(other, id, "old");
    await crew.stranger.del(keyOf(id));
    await Promise.all([letsGo(one, id), letsGo(other, id)]);
    expect(await other.order("get", id)).toBeUndefined();
  });

  test("FLUSHALL", async () => {
    await holds(one, id, "old");
    await holds(other, id, "old");
    await crew.stranger.flushall();
    await Promise.all([letsGo(one, id), letsGo(other, id)]);
    expect(await other.order("get", id)).toBeUndefined();
  });

  test("its end before the time that it was stored with", async () => {
    await crew.stranger.pexpire(keyOf(id), 2_000);
    await holds(other, id, "old");
    await letsGo(other, id);
    expect(await crew.stranger.exists(keyOf(id))).toBe(0);
  });

  describe("for lack of memory,", () => {
    afterEach(async () => {
      await crew.stranger.config("SET", "maxmemory", "0");
    });

    test("its eviction", async () => {
      await holds(other, id, "old");
      await crew.stranger.config("SET", "maxmemory-policy", "allkeys-lfu");
      await crew.stranger.config("SET", "maxmemory", "1");
      await crew.stranger.set("more", "value").catch(() => undefined);
      await letsGo(other, id);
      expect(await crew.stranger.exists(keyOf(id))).toBe(0);
    });

    test("the eviction of its tag, which revives nothing [directus#20205, directus#21136]", async () => {
      const tag = keyOf(id).replace(/:v:.*/, ":t:all");
      await holds(other, id, "old");
      expect(await crew.stranger.del(tag)).toBe(1);
      await letsGo(other, id);
      // The next one to load makes the tag anew.
      expect(await other.order("obtain", { id: `${id}-b`, text: "more" })).toBe("more");
      expect(await crew.stranger.exists(keyOf(id), tag)).toBe(2);
      expect(await other.order("get", id)).toBeUndefined();
      expect(await one.order("get", id)).toBeUndefined();
    });
  });
});

describe("a process that slept through its lease", () => {
  let sleepy: Crew;
  let sleeper: Member;
  let awake: Member;

  beforeAll(async () => {
    sleepy = await gather({ size: 2, leaseMs: 1_000, heartbeatMs: HEARTBEAT_MS });
    [sleeper, awake] = sleepy.members as [Member, Member];
  });
  afterAll(async () => {
    await sleepy[Symbol.asyncDispose]();
  });

  /** In the middle of a load. `before`: what it is told when that has begun. */
  async function fallAsleep(before = async () => {}): Promise<void> {
    await sleeper.order("ask", { id, text: "old" });
    await sleeper.order("begun", id);
    await before();
    sleeper.signal("SIGSTOP");
    await waitFor(async () => (await sleepy.stranger.exists(keyOf(id, "l"))) === 0);
  }

  async function wakeUp(): Promise<void> {
    sleeper.signal("SIGCONT");
    await sleeper.order("release", id);
    expect(await sleeper.order("answer", id)).toMatchObject({ text: "old" });
  }

  test("stores nothing over what another loaded meanwhile", async () => {
    await fallAsleep();
    expect(await awake.order("obtain", { id, text: "new" })).toBe("new");
    await wakeUp();
    expect(await awake.order("get", id)).toBe("new");
    expect(await sleeper.order("get", id)).toBe("new");
  });

  test("stores nothing after what another invalidated meanwhile", async () => {
    await fallAsleep();
    await awake.order("invalidate", { id, way: "key" });
    await wakeUp();
    expect(await awake.order("get", id)).toBeUndefined();
    expect(await sleeper.order("get", id)).toBeUndefined();
  });

  test("shares what it was loading with nobody who comes as it wakes up, before it can have heard of anything", async () => {
    let late: Promise<string> | undefined;
    await fallAsleep(async () => {
      late = sleeper.order("obtainAt", { id, text: "not needed", at: sharedNow() + DOZE_MS });
      // By then it has heard of the order above, too.
      expect(await sleeper.order("isLoading", id)).toBe(true);
    });
    expect(await awake.order("obtain", { id, text: "new" })).toBe("new");
    await wakeUp();
    expect(await late).toBe("new");
  });

  test("shares what it was reading with nobody who comes as it wakes up", async () => {
    await awake.order("set", { id, text: "old" });
    const { server, stranger } = sleepy;
    await server.pause();
    const early = sleeper.order("get", id);
    const late = sleeper.order("getAt", { id, at: sharedNow() + DOZE_MS });
    expect(await sleeper.order("peek", id)).toBeUndefined();
    // Commands are sent at the end of a turn of the event loop: in a later one that is over.
    expect(await sleeper.order("peek", id)).toBeUndefined();
    sleeper.signal("SIGSTOP");
    await server.resume();
    // The reply to the sleeper is on its way before this one.
    expect(await stranger.exists(keyOf(id))).toBe(1);
    await awake.order("set", { id, text: "new" });
    const changedAt = performance.now();
    await waitFor(() => performance.now() > changedAt + SHARED_MS);
    sleeper.signal("SIGCONT");
    expect(await early).toBe("old");
    expect(await late).toBe("new");
  });

  test("does not serve from its memory what changed meanwhile", async () => {
    await awake.order("set", { id, text: "old" });
    await holds(sleeper, id, "old");
    sleeper.signal("SIGSTOP");
    await awake.order("set", { id, text: "new" });
    const changedAt = performance.now();
    await waitFor(() => performance.now() > changedAt + 2 * HEARTBEAT_MS);
    sleeper.signal("SIGCONT");
    expect(await sleeper.order("get", id)).toBe("new");
  });
});
