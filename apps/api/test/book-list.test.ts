import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { redisUrl } from "@mythic/testing/redis";
import { waitFor } from "@mythic/testing/wait";
import { makeReady, refuse, startTestApi, type TestApi, uploadedBook } from "./test-api.ts";
import { type WatchedStore, watchStore } from "./watched-store.ts";

/** Far below the half hour of a list. */
const TOLD_MS = 10_000;

interface Listed {
  /** Ids and statuses, newest first. */
  readonly books: readonly (readonly [id: string, status: string])[];
  readonly cache: string | null;
}

async function list(api: TestApi, headers: Record<string, string> = {}, query = ""): Promise<Listed> {
  const response = await fetch(`${api.url}/books/my${query}`, { headers });
  const { data } = (await response.json()) as {
    readonly data: readonly { readonly id: string; readonly status: string }[];
  };
  return {
    books: data.map(({ id, status }) => [id, status]),
    cache: response.headers.get("cache-status"),
  };
}

describe("a list of books, of two processes that share a Redis", () => {
  let stack: AsyncDisposableStack;
  let one: TestApi;
  let other: TestApi;
  /** The store of the other. */
  let watched: WatchedStore;
  let mine: { readonly authorization: string };

  beforeEach(async () => {
    stack = new AsyncDisposableStack();
    one = stack.use(await startTestApi({ redisUrl: await redisUrl() }));
    other = stack.use(
      await startTestApi({
        redisUrl: await redisUrl(),
        beside: one,
        wrapStore(store) {
          watched = watchStore(store);
          return watched.store;
        },
      }),
    );
    mine = { authorization: (await one.key("me")).authorization };
  });
  afterEach(() => stack.disposeAsync());

  /** Waits until the other process shows these books, and then shows them from its memory. */
  const shows = async (books: Listed["books"]) => {
    const look = async () => {
      const listed = await list(other, mine);
      const isIt = JSON.stringify(listed.books) === JSON.stringify(books);
      return isIt && listed.cache === "mythic; hit; detail=memory";
    };
    await waitFor(look, { timeoutMs: TOLD_MS, everyMs: 1, what: `the list to be ${JSON.stringify(books)}` });
  };

  test("is read once, and again after an upload, each change of a book, and a deletion", async () => {
    await shows([]);
    const before = watched.calls("books.list");
    const first = await uploadedBook(one, mine, 1);
    await shows([[first.id, "stored"]]);
    const second = await uploadedBook(one, mine, 2);
    await shows([
      [second.id, "stored"],
      [first.id, "stored"],
    ]);
    await makeReady(one, "me", first.id);
    await refuse(one, "me", second.id, "drm_protected");
    await shows([
      [second.id, "refused"],
      [first.id, "ready"],
    ]);
    await fetch(`${one.url}/books/${second.id}`, { method: "DELETE", headers: mine });
    await shows([[first.id, "ready"]]);
    // Two uploads, the two writes of either parse (one of which may be overtaken), a deletion.
    expect(watched.calls("books.list") - before).toBeLessThanOrEqual(7);
    const after = watched.calls("books.list");
    for (let time = 0; time < 20; time++) await list(other, mine);
    expect(watched.calls("books.list")).toBe(after);
  });

  test("goes on being cached when other users' books change", async () => {
    await shows([]);
    const { authorization } = await one.key("someone");
    const book = await uploadedBook(one, { authorization });
    await fetch(`${one.url}/books/${book.id}`, { method: "DELETE", headers: { authorization } });
    expect(await list(other, mine)).toEqual({ books: [], cache: "mythic; hit; detail=memory" });
  });

  test("is forgotten with all of its pages", async () => {
    const books = [await uploadedBook(one, mine, 1), await uploadedBook(one, mine, 2)];
    const [first = "", second = ""] = books.map(({ id }) => id);
    const pages = async () => [
      (await list(other, mine, "?limit=1")).books,
      (await list(other, mine, `?limit=1&after=${second}`)).books,
    ];
    expect(await pages()).toEqual([[[second, "stored"]], [[first, "stored"]]]);
    await makeReady(one, "me", first);
    const isTold = async () =>
      JSON.stringify(await pages()) === JSON.stringify([[[second, "stored"]], [[first, "ready"]]]);
    await waitFor(isTold, { timeoutMs: TOLD_MS, everyMs: 1 });
  });

  const CHANGES: Readonly<Record<string, (id: string) => Promise<unknown>>> = {
    "an upload": () => uploadedBook(one, mine, 2),
    "a parse that ends": (id) => makeReady(one, "me", id),
    "a parse that refuses": (id) => refuse(one, "me", id, "drm_protected"),
    "a deletion": (id) => fetch(`${one.url}/books/${id}`, { method: "DELETE", headers: mine }),
  };

  test.each(Object.entries(CHANGES))(
    "that is being read during %s is not what is shown next",
    async (_name, change) => {
      const { id } = await uploadedBook(one, mine, 1);
      const letGo = watched.hold("books.list");
      const before = watched.calls("books.list");
      const early = list(other, mine);
      await waitFor(() => watched.calls("books.list") > before, { everyMs: 1, what: "the list to be read" });
      await change(id);
      letGo();
      // Who asked before it happened is told what was there.
      expect((await early).books).toEqual([[id, "stored"]]);
      const { items } = await one.store.books.list("me", { limit: 20, after: null });
      expect(items.map(({ id: book, status }) => [book, status])).not.toEqual([[id, "stored"]]);
      expect((await list(other, mine)).books).toEqual(items.map(({ id: book, status }) => [book, status]));
    },
  );

  test("a book by itself follows its changes, too", async () => {
    const { id } = await uploadedBook(one, mine);
    const status = async () => {
      const response = await fetch(`${other.url}/books/${id}`, { headers: mine });
      const body = (await response.json()) as { readonly status: string | number };
      return [body.status, response.headers.get("cache-status")];
    };
    expect(await status()).toEqual(["stored", "mythic; fwd=miss"]);
    await makeReady(one, "me", id);
    await waitFor(async () => (await status())[0] === "ready", { timeoutMs: TOLD_MS, everyMs: 1 });
    await waitFor(async () => (await status())[1] === "mythic; hit; detail=memory", { everyMs: 1 });
    await fetch(`${one.url}/books/${id}`, { method: "DELETE", headers: mine });
    await waitFor(async () => (await status())[0] === 404, { timeoutMs: TOLD_MS, everyMs: 1 });
  });
});
