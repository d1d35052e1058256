import { afterEach, beforeEach, describe, expect, jest, test } from "@jest/globals";
import { redisUrl } from "@mythic/testing/redis";
import { waitFor } from "@mythic/testing/wait";
import { announced } from "../../src/cache/announce.ts";
import { plain } from "../../src/cache/views.ts";
import { type Store, StoreUnavailableError } from "../../src/store.ts";
import { createdRun, newBook, PARSED, readyBook, storedBook } from "../stores/samples.ts";
import { type CachingProcess, openFreshStore, openProcesses } from "./processes.ts";

const PAGE = { limit: 20, after: null };
const USER = "ada";
/** Far below every TTL: what is seen within it was told. */
const TOLD_MS = 10_000;

const SETUPS = [
  { where: "the process itself, without Redis", url: null, count: 1 },
  { where: "another process", url: await redisUrl(), count: 2 },
];

describe.each(SETUPS)("a change is seen by $where:", ({ url, count }) => {
  let stack: AsyncDisposableStack;
  let writer: CachingProcess;
  let reader: CachingProcess;

  beforeEach(async () => {
    stack = new AsyncDisposableStack();
    const store = await openFreshStore(stack);
    const processes = await openProcesses(stack, { count, redisUrl: url, store });
    writer = processes[0] as CachingProcess;
    reader = processes.at(-1) as CachingProcess;
  });
  afterEach(() => stack.disposeAsync());

  const until = <Seen>(look: () => Promise<Seen>, isIt: (seen: Seen) => boolean) =>
    waitFor(async () => isIt(await look()), {
      timeoutMs: TOLD_MS,
      everyMs: 1,
      what: "the change to be told",
    });

  const statusOf = async (id: string) => (await reader.reads.run(USER, id)).value?.status;
  const bookOf = async (id: string) => (await reader.reads.book(USER, id)).value;
  const list = async () =>
    (await reader.reads.books(USER, PAGE)).value?.items.map(({ id, status }) => [id, status]);
  const listed = async (books: readonly (readonly [string, string])[]) =>
    until(list, (seen) => JSON.stringify(seen) === JSON.stringify(books));

  test("where a run stands", async () => {
    const run = await createdRun(writer.store, USER);
    expect(await statusOf(run.id)).toBe("queued");
    await writer.store.runs.update(USER, run.id, 1, { status: "running" });
    await until(
      () => statusOf(run.id),
      (status) => status === "running",
    );
    await until(
      () => reader.reads.run(USER, run.id),
      (found) => found.in === "memory",
    );
  });

  test("a book in its list, from the upload to the deletion", async () => {
    expect(await list()).toEqual([]);
    const { id } = await storedBook(writer.store, USER);
    await listed([[id, "stored"]]);
    await writer.store.books.markParsing(USER, id);
    await listed([[id, "parsing"]]);
    await writer.store.books.markReady(USER, id, 1, PARSED);
    await listed([[id, "ready"]]);
    const other = await storedBook(writer.store, USER);
    await listed([
      [other.id, "stored"],
      [id, "ready"],
    ]);
    await writer.store.books.markRefused(USER, other.id, { code: "no_text", detail: "There are no words." });
    await listed([
      [other.id, "refused"],
      [id, "ready"],
    ]);
    await writer.store.books.delete(USER, id);
    await listed([[other.id, "refused"]]);
  });

  test("a book by itself", async () => {
    const { id } = await storedBook(writer.store, USER);
    expect((await bookOf(id))?.book.status).toBe("stored");
    await writer.store.books.markParsing(USER, id);
    await until(
      () => bookOf(id),
      (whole) => whole?.book.status === "parsing",
    );
    await writer.store.books.markReady(USER, id, 1, PARSED);
    await until(
      () => bookOf(id),
      (whole) => whole?.book.title === PARSED.title,
    );
    await writer.store.books.delete(USER, id);
    await until(
      () => bookOf(id),
      (whole) => whole === null,
    );
  });

  test("what was made of a book that is deleted", async () => {
    const { id: bookId } = await readyBook(writer.store, USER);
    const run = plain(await createdRun(writer.store, USER, { bookId, status: "succeeded" }));
    const page = { after: null, limit: 100 };
    const chapters = async () =>
      (await reader.reads.result(USER, run, "summary", page)).value?.chapters.length;
    expect(await chapters()).toBe(2);
    await until(
      () => reader.reads.result(USER, run, "summary", page),
      (found) => found.in === "memory",
    );
    await writer.store.books.delete(USER, bookId);
    await until(chapters, (left) => left === 0);
  });

  test("a key that was revoked", async () => {
    const key = { id: "key_1", user: USER, role: "user", sha256: "a1", lastFour: "1234" } as const;
    await writer.store.keys.create({ ...key, createdAt: new Date(), revokedAt: null });
    const user = async () => (await reader.reads.key("a1")).value?.user;
    expect(await user()).toBe(USER);
    await until(
      () => reader.reads.key("a1"),
      (found) => found.in === "memory",
    );
    expect(await writer.store.keys.revoke("key_1")).toBe(true);
    await until(user, (seen) => seen === undefined);
  });
});

describe("telling the cache", () => {
  let stack: AsyncDisposableStack;
  let store: Store;
  beforeEach(async () => {
    stack = new AsyncDisposableStack();
    store = await openFreshStore(stack);
  });
  afterEach(() => stack.disposeAsync());

  const alone = async (inner: Store) => {
    const [process] = await openProcesses(stack, { count: 1, redisUrl: null, store: inner });
    return process as CachingProcess;
  };

  test("never takes a run back to what it was before", async () => {
    const { store: announcing, reads, cache } = await alone(store);
    const run = await createdRun(announcing, USER);
    const second = await announcing.runs.update(USER, run.id, 1, { stage: "chapters" });
    const third = await announcing.runs.update(USER, run.id, 2, { stage: "merging" });
    if (!second || !third) throw new Error("The run was not changed.");
    // A process that was slow to say what it did.
    expect(await cache.families.runStatus.set(USER, run.id, plain(second))).toBe(false);
    expect((await reads.run(USER, run.id)).value?.stage).toBe("merging");
  });

  test("says nothing of a change that did not happen", async () => {
    const { store: announcing, reads } = await alone(store);
    const run = await createdRun(announcing, USER);
    await reads.run(USER, run.id);
    expect(await announcing.runs.update(USER, run.id, 7, { status: "failed" })).toBeNull();
    expect(await reads.run(USER, run.id)).toMatchObject({ in: "memory", value: { status: "queued" } });
  });

  test("a write of which nobody knows whether it happened is forgotten all the same", async () => {
    const run = await createdRun(store, USER);
    const lost = <Outcome>(write: Promise<Outcome>) =>
      write.then(() => Promise.reject(new StoreUnavailableError("The connection was lost.")));
    const lossy: Store = {
      ...store,
      runs: {
        create: (user, one) => store.runs.create(user, one),
        get: (user, id) => store.runs.get(user, id),
        list: (user, filter) => store.runs.list(user, filter),
        update: (...change) => lost(store.runs.update(...change)),
      },
    };
    const { store: announcing, reads } = await alone(lossy);
    expect((await reads.run(USER, run.id)).value?.status).toBe("queued");
    const writing = announcing.runs.update(USER, run.id, 1, { status: "running" });
    await expect(writing).rejects.toThrow(StoreUnavailableError);
    expect((await reads.run(USER, run.id)).value?.status).toBe("running");
  });

  test("a write that may still happen is forgotten once more when it will have", async () => {
    jest.useFakeTimers();
    try {
      let forgotten = 0;
      const forget = async () => {
        forgotten += 1;
      };
      const write = Promise.reject(new StoreUnavailableError("The connection was lost."));
      await expect(announced(write, forget, forget)).rejects.toThrow(StoreUnavailableError);
      expect(forgotten).toBe(1);
      jest.advanceTimersByTime(10_000);
      expect(forgotten).toBe(2);
    } finally {
      jest.useRealTimers();
    }
  });

  test("a book that was uploaded already is told of again, as the first upload may not have been", async () => {
    const { store: announcing, reads } = await alone(store);
    await reads.books(USER, PAGE);
    // By a process that was killed right afterwards.
    const book = await storedBook(store, USER, "the same bytes");
    expect((await reads.books(USER, PAGE)).value?.items).toEqual([]);
    const again = await announcing.books.create(USER, newBook({ sha256: book.sha256 }));
    expect(again.created).toBe(false);
    expect((await reads.books(USER, PAGE)).value?.items).toHaveLength(1);
  });
});
