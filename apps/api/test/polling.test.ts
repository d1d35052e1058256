import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { newId, StoreUnavailableError } from "@mythic/runs";
import { redisUrl } from "@mythic/testing/redis";
import { waitFor } from "@mythic/testing/wait";
import {
  makeReady,
  startedRun,
  startTestApi,
  type TestApi,
  type TestApiOptions,
  uploadedBook,
  work,
} from "./test-api.ts";
import { type WatchedStore, watchStore } from "./watched-store.ts";

/** An API whose store is looked over the shoulder. */
async function startWatched(options: TestApiOptions = {}) {
  let watched: WatchedStore | undefined;
  const api = await startTestApi({
    ...options,
    wrapStore(store) {
      watched = watchStore(store);
      return watched.store;
    },
  });
  if (watched === undefined) throw new Error("The store was not wrapped.");
  return { api, watched };
}

const poll = (api: TestApi, id: string, headers: Record<string, string> = {}) =>
  fetch(`${api.url}/status/${id}`, { headers });

/** So many polls, some at a time; answers the revisions that were seen. */
async function pollTimes(api: TestApi, id: string, times: number): Promise<Set<number>> {
  const seen = new Set<number>();
  for (let at = 0; at < times; at += 20) {
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        const run = (await (await poll(api, id)).json()) as { readonly revision: number };
        seen.add(run.revision);
      }),
    );
  }
  return seen;
}

describe("polls of processes that share a Redis", () => {
  const url = redisUrl();
  let stack: AsyncDisposableStack;
  beforeEach(() => {
    stack = new AsyncDisposableStack();
  });
  afterEach(() => stack.disposeAsync());

  const start = async (options: TestApiOptions = {}) => {
    const started = await startWatched({ redisUrl: await url, ...options });
    stack.use(started.api);
    return started;
  };

  /** Changes something that is shown, past everyone's memory. */
  const change = async (api: TestApi, id: string) => {
    const run = await api.store.runs.get("local", id);
    const changed = run && (await api.store.runs.update("local", id, run.revision, { stage: "chapters" }));
    if (!changed) throw new Error("The run was not changed.");
    return changed;
  };

  test("a thousand of them cost one read of the store, and a change costs none", async () => {
    const one = await start();
    const other = await start({ beside: one.api });
    const { id } = await startedRun(one.api, (await uploadedBook(one.api)).id);
    const readsOf = ({ watched }: typeof one, from: number) => watched.calls("runs.get") - from;
    const [before, beforeOther] = [readsOf(one, 0), readsOf(other, 0)];
    await pollTimes(one.api, id, 240);
    await pollTimes(other.api, id, 260);
    expect(readsOf(one, before) + readsOf(other, beforeOther)).toBe(1);

    // What changes a run looks at it itself.
    const { revision } = await change(one.api, id);
    const [after, afterOther] = [readsOf(one, 0), readsOf(other, 0)];
    await waitFor(async () => (await pollTimes(other.api, id, 20)).has(revision), { everyMs: 1 });
    expect(await pollTimes(one.api, id, 240)).toEqual(new Set([revision]));
    expect(await pollTimes(other.api, id, 240)).toEqual(new Set([revision]));
    expect(readsOf(one, after) + readsOf(other, afterOther)).toBe(0);
  });

  test("once what is cached has lapsed, the next thousand cost one read more", async () => {
    const one = await start();
    const { id } = await startedRun(one.api, (await uploadedBook(one.api)).id);
    await pollTimes(one.api, id, 20);
    const before = one.watched.calls("runs.get");
    await fetch(`${one.api.url}/cache?family=run-status`, { method: "DELETE" });
    await pollTimes(one.api, id, 500);
    expect(one.watched.calls("runs.get") - before).toBe(1);
  });

  test("a poll by ETag, with its key, asks the store nothing, and Redis seldom", async () => {
    const { api, watched } = await start();
    const { authorization } = await api.key("me");
    const book = await uploadedBook(api, { authorization });
    const { id } = await startedRun(api, book.id, { authorization });
    const etag = (await poll(api, id, { authorization })).headers.get("etag") ?? "";
    const known = { authorization, "if-none-match": etag };
    await poll(api, id, known);
    const before = watched.calls();
    for (let time = 0; time < 50; time++) {
      const response = await poll(api, id, known);
      expect(response.status).toBe(304);
      expect(response.headers.get("cache-status")).toBe("mythic; hit; detail=memory");
      expect(await response.text()).toBe("");
    }
    expect(watched.calls()).toBe(before);
  });

  test("a process that has not seen the run finds it in Redis and asks the store nothing", async () => {
    const one = await start();
    const { authorization } = await one.api.key("me");
    const key = { authorization };
    const { id } = await startedRun(one.api, (await uploadedBook(one.api, key)).id, key);
    expect((await poll(one.api, id, key)).headers.get("cache-status")).toBe("mythic; fwd=miss");
    const other = await start({ beside: one.api });
    expect((await poll(other.api, id, key)).headers.get("cache-status")).toBe("mythic; hit; detail=redis");
    expect((await poll(other.api, id, key)).headers.get("cache-status")).toBe("mythic; hit; detail=memory");
    // Once, as that never changes back.
    expect([other.watched.calls(), other.watched.calls("keys.wereEverMade")]).toEqual([1, 1]);
  });

  test("who was slow to tell of a change takes nobody back to what was before", async () => {
    const one = await start();
    const other = await start({ beside: one.api });
    const { id } = await startedRun(one.api, (await uploadedBook(one.api)).id);
    await pollTimes(other.api, id, 20);
    const letGo = one.watched.hold("runs.update");
    const { revision } = (await one.api.store.runs.get("local", id)) ?? { revision: 0 };
    const slow = one.api.store.runs.update("local", id, revision, { stage: "chapters" });
    const newest = await other.api.store.runs.update("local", id, revision + 1, { stage: "merging" });
    expect(newest?.stage).toBe("merging");
    letGo();
    await slow;
    for (const { api } of [one, other]) {
      const stages = new Set<unknown>();
      for (let time = 0; time < 10; time++) {
        const { stage } = (await (await poll(api, id)).json()) as { readonly stage: string };
        stages.add(stage);
      }
      expect([...stages]).toEqual(["merging"]);
    }
  });
});

describe("an answer about a run", () => {
  let api: TestApi;
  let id: string;
  beforeEach(async () => {
    api = await startTestApi();
    ({ id } = await startedRun(api, (await uploadedBook(api)).id));
  });
  afterEach(() => api.close());

  test.each([
    ["its tag", (tag: string) => tag, 304],
    ["its tag without the mark of a weak one", (tag: string) => tag.slice(2), 304],
    ["one of several", (tag: string) => `W/"0", ${tag}`, 304],
    ["any", () => "*", 304],
    ["another one", () => 'W/"0"', 200],
    ["nonsense", () => "0", 200],
  ])("by its ETag: to who names %s", async (_name, tagsOf, status) => {
    const first = await poll(api, id);
    const { revision } = (await first.json()) as { readonly revision: number };
    const tag = first.headers.get("etag") ?? "";
    expect(tag).toBe(`W/"${revision}"`);
    const response = await poll(api, id, { "if-none-match": tagsOf(tag) });
    expect(response.status).toBe(status);
    expect(response.headers.get("etag")).toBe(tag);
    expect(response.headers.get("cache-control")).toBe("private, no-cache");
  });

  test("asks for patience that grows with the age of the run, and for none once it has ended", async () => {
    const run = await api.store.runs.get("local", id);
    if (!run) throw new Error("There is no run.");
    const patience = async (ageSeconds: number) => {
      const old = { ...run, id: newId("run"), queuedAt: new Date(Date.now() - ageSeconds * 1_000) };
      await api.store.runs.create("local", old);
      return (await poll(api, old.id)).headers.get("retry-after");
    };
    expect(await patience(0)).toBe("1");
    expect(await patience(60)).toBe("2");
    expect(await patience(600)).toBe("5");
    await makeReady(api, "local", run.bookId);
    await work(api, "local", id);
    const ended = await poll(api, id);
    expect(await ended.json()).toMatchObject({ status: "succeeded" });
    expect(ended.headers.has("retry-after")).toBe(false);
  });

  test.each([
    ["with a query", (path: string) => `${path}?at=once`],
    ["with an escape", (path: string) => path.replace("_", "%5F")],
    ["with a slash in the end", (path: string) => `${path}/`],
  ])("is the same for who writes its address %s", async (_name, written) => {
    const path = `/status/${id}`;
    const [usual, other] = await Promise.all([path, written(path)].map((at) => fetch(`${api.url}${at}`)));
    const tell = async (response: Response | undefined) => [
      response?.status,
      [...(response?.headers.keys() ?? [])],
      await response?.json(),
    ];
    expect(await tell(other)).toEqual(await tell(usual));
  });

  test.each(["run_0", "nothing", "RUN"])("is a problem for %s, which is no run", async (name) => {
    const response = await fetch(`${api.url}/status/${name}`);
    expect(response.status).toBe(404);
    expect(response.headers.get("content-type")).toBe("application/problem+json; charset=utf-8");
  });

  test("says what took how long", async () => {
    const response = await poll(api, id);
    expect(response.headers.get("server-timing")).toMatch(/^cache;dur=[\d.]+, total;dur=[\d.]+$/);
    const live = await fetch(`${api.url}/health/live`);
    expect(live.headers.get("server-timing")).toMatch(/^total;dur=[\d.]+$/);
    expect(live.headers.has("cache-status")).toBe(false);
  });
});

// A value past its time is served by families that say so, and by no other.
test("where a run stands is never past its time, not even when the store fails; a list of books may be [nitro#1948, nitro#1950]", async () => {
  const { api, watched } = await startWatched({ redisUrl: await redisUrl() });
  try {
    const { id } = await startedRun(api, (await uploadedBook(api)).id);
    expect((await poll(api, id)).status).toBe(200);
    expect((await fetch(`${api.url}/books/my`)).status).toBe(200);
    const { families } = api.caching.cache ?? {};
    await families?.runStatus.expire("local", id);
    await families?.bookList.expire("local", { limit: 20, after: null });
    const lost = new StoreUnavailableError("The connection was lost.");
    watched.fail("runs.get", lost);
    watched.fail("books.list", lost);
    expect((await poll(api, id)).status).toBe(503);
    const list = await fetch(`${api.url}/books/my`);
    expect(list.status).toBe(200);
    expect(list.headers.get("cache-status")).toBe("mythic; hit; detail=stale");
  } finally {
    await api.close();
  }
});

test("without a cache every poll asks the store, and says so", async () => {
  const { api, watched } = await startWatched({ isUncached: true });
  try {
    const { id } = await startedRun(api, (await uploadedBook(api)).id);
    const before = watched.calls("runs.get");
    for (let time = 0; time < 3; time++) {
      expect((await poll(api, id)).headers.get("cache-status")).toBe("mythic; fwd=bypass");
    }
    expect(watched.calls("runs.get") - before).toBe(3);
  } finally {
    await api.close();
  }
});
