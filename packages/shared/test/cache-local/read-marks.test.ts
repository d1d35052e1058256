import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { startRedis, type TestRedis } from "@mythic/testing/redis";
import { waitFor } from "@mythic/testing/wait";
import { Redis } from "ioredis";
import { ReadMarks } from "../../src/cache/local/read-marks.ts";
import { connectStranger, killConnections, type Listening, listen, PREFIX } from "./listening.ts";

describe("marks of reads", () => {
  test("say that what was read may be kept when nothing changed meanwhile", () => {
    const marks = new ReadMarks();
    const mark = marks.begin(["value", "tag"]);
    marks.changed("other");
    expect(marks.end(mark)).toBe(true);
    expect(marks.size).toBe(0);
  });

  test.each(["value", "tag"])("say that it may not when the %s changed meanwhile", (key) => {
    const marks = new ReadMarks();
    const mark = marks.begin(["value", "tag"]);
    marks.changed(key);
    expect(marks.end(mark)).toBe(false);
    expect(marks.size).toBe(0);
  });

  test("say that it may not when everything changed meanwhile", () => {
    const marks = new ReadMarks();
    const mark = marks.begin(["value"]);
    marks.allChanged();
    expect(marks.end(mark)).toBe(false);
    expect(marks.size).toBe(0);
  });

  test("tell reads of one key apart by when they began", () => {
    const marks = new ReadMarks();
    const before = marks.begin(["key"]);
    const alsoBefore = marks.begin(["key"]);
    marks.changed("key");
    const after = marks.begin(["key"]);
    expect(marks.end(before)).toBe(false);
    expect(marks.end(after)).toBe(true);
    expect(marks.end(alsoBefore)).toBe(false);
    expect(marks.size).toBe(0);
  });

  test("are kept while any read of the key is on its way", () => {
    const marks = new ReadMarks();
    const [one, other] = [marks.begin(["key"]), marks.begin(["key"])];
    expect(marks.end(one)).toBe(true);
    marks.changed("key");
    expect(marks.end(other)).toBe(false);
  });

  test("bear a key that is named twice", () => {
    const marks = new ReadMarks();
    expect(marks.end(marks.begin(["key", "key"]))).toBe(true);
    expect(marks.size).toBe(0);
  });
});

describe("a value that arrives after the news that it is outdated", () => {
  const KEY = `${PREFIX}{ann}:v:f.1:key`;
  let server: TestRedis;
  let stranger: Redis;
  let listening: Listening;
  let marks: ReadMarks;
  let stack: AsyncDisposableStack;

  beforeEach(async () => {
    stack = new AsyncDisposableStack();
    server = stack.use(await startRedis());
    stranger = stack.use(await connectStranger(server.url));
    marks = new ReadMarks();
    listening = stack.use(
      listen(server.url, {
        invalidated: (keys) => {
          for (const key of keys) marks.changed(key);
        },
        flushed: () => marks.allChanged(),
      }),
    );
    await listening.reaches("tracking");
  });

  afterEach(async () => {
    await stack.disposeAsync();
  });

  /** Has Redis answer a GET, and the answer lie in the socket until it is asked for. */
  async function readSlowly() {
    const { connection } = listening.redis;
    if (!(connection instanceof Redis)) throw new Error("This is no Cluster.");
    const mark = marks.begin([KEY]);
    const answer = connection.get(KEY);
    connection.stream.pause();
    await waitFor(async () => String(await stranger.info("commandstats")).includes("cmdstat_get:calls=1,"));
    return async () => {
      connection.stream.resume();
      return { value: await answer, mayBeKept: marks.end(mark) };
    };
  }

  test("is not kept", async () => {
    await stranger.set(KEY, "old");
    await listening.hears(KEY);
    const finish = await readSlowly();
    listening.keys.length = 0;
    await stranger.set(KEY, "new");
    await listening.hears(KEY);
    expect(await finish()).toEqual({ value: "old", mayBeKept: false });
  });

  test("is not kept when the feed was lost in between, either", async () => {
    await stranger.set(KEY, "old");
    await listening.hears(KEY);
    const finish = await readSlowly();
    const before = listening.flushes();
    expect(await killConnections(stranger, "mythic:tracking")).toBe(1);
    await listening.isFlushedAfter(before);
    expect(await finish()).toEqual({ value: "old", mayBeKept: false });
  });

  test("is kept when the news was older than the read", async () => {
    await stranger.set(KEY, "new");
    await listening.hears(KEY);
    const finish = await readSlowly();
    expect(await finish()).toEqual({ value: "new", mayBeKept: true });
  });

  test("is never kept in the end, whoever changes what and when", async () => {
    const kept = new Map<string, string | null>();
    const drop = (key: string) => kept.delete(key);
    const reader = stack.use(
      listen(server.url, {
        invalidated(keys) {
          for (const key of keys) {
            marks.changed(key);
            drop(key);
          }
        },
        flushed() {
          marks.allChanged();
          kept.clear();
        },
      }),
    );
    await reader.reaches("tracking");
    const keys = Array.from({ length: 5 }, (_, index) => `${PREFIX}${index}`);
    const anyKey = () => keys[Math.floor(Math.random() * keys.length)] ?? KEY;
    const readOne = async () => {
      const key = anyKey();
      const mark = marks.begin([key]);
      const value = await reader.redis.run((redis) => redis.get(key));
      if (marks.end(mark)) kept.set(key, value);
    };
    for (let round = 0; round < 100; round += 1) {
      const writes = Array.from({ length: 5 }, () => stranger.set(anyKey(), String(Math.random())));
      await Promise.all([...Array.from({ length: 20 }, readOne), ...writes]);
    }
    // News of this write comes after the news of all others.
    await stranger.set(KEY, "last");
    await reader.hears(KEY);
    const outdated = [];
    for (const [key, value] of kept) if ((await stranger.get(key)) !== value) outdated.push(key);
    expect(outdated).toEqual([]);
    expect(marks.size).toBe(0);
  });
});
