import { afterAll, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { openCache } from "@mythic/shared/cache";
import { openGuardedRedis } from "@mythic/shared/redis";
import { PATIENT_MS, startRedis, type TestRedis } from "@mythic/testing/redis";
import { waitFor } from "@mythic/testing/wait";
import { Redis } from "ioredis";
import { invalidateNote, NAMESPACE, noteFamily, USER, type Way } from "./notes-child.ts";

const WAYS: readonly { readonly way: Way }[] = [
  { way: "key" },
  { way: "tag" },
  { way: "pattern" },
  { way: "clear" },
];

describe("where tracking is forbidden, two caches with connections of their own", () => {
  const stack = new AsyncDisposableStack();
  let one: Awaited<ReturnType<typeof open>>;
  let other: Awaited<ReturnType<typeof open>>;
  let id: string;
  let count = 0;

  async function open(server: TestRedis) {
    const redis = openGuardedRedis(server.url.replace("redis://", "redis://untracked:word@"), {
      commandTimeoutMs: PATIENT_MS,
    });
    stack.defer(() => redis.close());
    const cache = openCache({ namespace: NAMESPACE, families: { notes: noteFamily() }, redis });
    stack.defer(() => cache.close());
    await waitFor(() => cache.health().status === "ok" && cache.health().coherence === "pub-sub");
    return cache;
  }

  beforeAll(async () => {
    const server = stack.use(await startRedis());
    const stranger = new Redis(server.url);
    stack.defer(() => stranger.disconnect());
    await stranger.call(
      "ACL",
      "SETUSER",
      "untracked",
      "on",
      ">word",
      "~*",
      "&*",
      "+@all",
      "-client|tracking",
    );
    [one, other] = [await open(server), await open(server)];
  });
  afterAll(() => stack.disposeAsync());

  beforeEach(() => {
    count += 1;
    id = `note-${count}`;
  });

  const obtain = async (cache: typeof one, text: string) =>
    (await cache.families.notes.getOrSet(USER, id, () => ({ text }))).text;

  /** What was stored a moment ago comes back as news, so the first reading may not be kept. */
  async function holds(cache: typeof one, text: string): Promise<void> {
    const { notes } = cache.families;
    await waitFor(async () => (await notes.get(USER, id)) && notes.peek(USER, id)?.text === text);
  }

  const letsGo = (cache: typeof one) =>
    waitFor(() => cache.families.notes.peek(USER, id) === undefined, { everyMs: 2 });

  test("tell each other what they store", async () => {
    await one.families.notes.set(USER, id, { text: "old" });
    await holds(other, "old");
    await one.families.notes.set(USER, id, { text: "new" });
    await holds(other, "new");
  });

  test("wake each other when a load ends", async () => {
    const gate = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const loading = one.families.notes.getOrSet(USER, id, async () => {
      begun.resolve();
      await gate.promise;
      return { text: "loaded" };
    });
    await begun.promise;
    const waiting = obtain(other, "not needed");
    gate.resolve();
    expect(await waiting).toBe("loaded");
    expect(await loading).toEqual({ text: "loaded" });
  });

  test.each(WAYS)("tell each other what they invalidate by $way", async ({ way }) => {
    await one.families.notes.set(USER, id, { text: "old" });
    await holds(other, "old");
    await invalidateNote(one, id, way);
    await letsGo(other);
    expect(await obtain(other, "new")).toBe("new");
  });

  test.each(WAYS)("do not store what the other invalidated by $way in mid-load", async ({ way }) => {
    const gate = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const loading = one.families.notes.getOrSet(USER, id, async () => {
      begun.resolve();
      await gate.promise;
      return { text: "old" };
    });
    await begun.promise;
    await invalidateNote(other, id, way);
    gate.resolve();
    expect(await loading).toEqual({ text: "old" });
    expect(await obtain(other, "new")).toBe("new");
    expect(await obtain(one, "not needed")).toBe("new");
  });
});
