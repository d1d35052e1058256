import { appendFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, jest, test } from "@jest/globals";
import { LATE_MS, LateSync } from "../../src/stores/sqlite/late-sync.ts";

const directory = await mkdtemp(join(tmpdir(), "mythic-late-sync-"));
const path = join(directory, "log");
await appendFile(path, "row\n");

afterAll(async () => {
  await rm(directory, { recursive: true });
});

describe("what nobody waits for", () => {
  let synced: string[] = [];
  const openLateSync = () => new LateSync(path, async (file) => void synced.push(file));

  beforeEach(() => {
    synced = [];
    jest.useFakeTimers();
  });

  afterEach(() => {
    jest.useRealTimers();
  });

  test("is brought onto the disk a moment later, once for all that was written until then", () => {
    const sync = openLateSync();
    sync.written(false);
    jest.advanceTimersByTime(LATE_MS - 1);
    sync.written(false);
    expect(synced).toEqual([]);
    jest.advanceTimersByTime(1);
    expect(synced).toEqual([path]);
    jest.advanceTimersByTime(LATE_MS);
    expect(synced).toEqual([path]);
  });

  test("is not brought there again when something that waits has taken it along", () => {
    const sync = openLateSync();
    sync.written(false);
    sync.written(true);
    jest.advanceTimersByTime(LATE_MS);
    expect(synced).toEqual([]);
  });

  test("is there at the end, without a wait", async () => {
    const sync = openLateSync();
    sync.written(false);
    await sync[Symbol.asyncDispose]();
    expect(synced).toEqual([path]);
    jest.advanceTimersByTime(LATE_MS);
    expect(synced).toEqual([path]);
  });
});

test("a file that cannot be brought onto the disk does no harm to what goes on", async () => {
  const gone = new LateSync(join(directory, "gone"));
  gone.written(false);
  await expect(gone[Symbol.asyncDispose]()).resolves.toBeUndefined();
});
