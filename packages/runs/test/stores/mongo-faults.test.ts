import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { freshDatabase, startMongo, type TestMongo } from "@mythic/testing/mongo";
import { waitFor } from "@mythic/testing/wait";
import type { ApiKey, Store } from "../../src/store.ts";
import { openMongoStore } from "../../src/stores/mongo/open-mongo-store.ts";
import {
  chapter,
  claimedStep,
  collect,
  FAILURE,
  newBook,
  newRun,
  newStep,
  opening,
  PARSED,
  pieces,
  readyBook,
  saved,
  settlement,
} from "./samples.ts";

/** What a busy machine may add to the times that are promised. */
const BUSY_MS = 4_000;
/** What everyone promises to whoever asks a store that does not answer. */
const NOTICED_MS = 5_000 + BUSY_MS;

const OUTCOME = { value: 1, reusedAnswers: 0 };
const PAGE = { limit: 1, after: null };
const KEY: ApiKey = {
  id: "key",
  user: "u",
  role: "user",
  sha256: "h",
  lastFour: "abcd",
  createdAt: new Date(),
  revokedAt: null,
};

/** Every function of a store. */
function callsOf(store: Store): Record<string, () => Promise<unknown>> {
  const { books, runs, steps, ledger, keys, replies, secrets, dispatch } = store;
  return {
    ping: () => store.ping(),
    storeBytes: () => books.storeBytes("u", "new", pieces("x")),
    removeBytes: () => books.removeBytes("u", "b"),
    readBytes: () => collect(books.readBytes("u", "b")),
    createBook: () => books.create("u", newBook()),
    getBook: () => books.get("u", "b"),
    listBooks: () => books.list("u", PAGE),
    bytesStored: () => books.bytesStored("u"),
    markParsing: () => books.markParsing("u", "b"),
    saveChapters: () => books.saveChapters("u", "b", 1, [chapter(0)]),
    markReady: () => books.markReady("u", "b", 1, PARSED),
    markRefused: () => books.markRefused("u", "b", FAILURE),
    outlines: () => books.outlines("u", "b"),
    chapter: () => books.chapter("u", "b", 0),
    deleteBook: () => books.delete("u", "b"),
    createRun: () => runs.create("u", newRun("u")),
    getRun: () => runs.get("u", "r"),
    listRuns: () => runs.list("u", PAGE),
    updateRun: () => runs.update("u", "r", 1, {}),
    insert: () => steps.insert("u", [newStep("u")]),
    ofRun: () => steps.ofRun("u", "r"),
    getStep: () => steps.get("u", "s"),
    results: () => steps.results("u", ["s"]),
    cancelPending: () => steps.cancelPending("u", "r"),
    reset: () => steps.reset("u", ["s"]),
    claim: () => steps.claim("s", "w", 1),
    heartbeat: () => steps.heartbeat("s", 1, 1),
    complete: () => steps.complete("s", 1, OUTCOME),
    fail: () => steps.fail("s", 1, FAILURE, null),
    handBack: () => steps.handBack("s", 1),
    postpone: () => steps.postpone("s", 1, FAILURE, new Date(0)),
    hasten: () => steps.hasten("s"),
    cancel: () => steps.cancel("s", 1),
    expireLeases: () => dispatch.expireLeases(3),
    due: () => dispatch.due(1, 1, 1),
    markDispatched: () => dispatch.markDispatched(["s"]),
    forgetDispatches: () => dispatch.forgetDispatches(),
    backlog: () => dispatch.backlog(),
    liveRuns: () => dispatch.liveRuns(1, null),
    liveRunsOfBook: () => dispatch.liveRunsOfBook("b"),
    unparsedBooks: () => dispatch.unparsedBooks(1),
    purgeDeleted: () => dispatch.purgeDeleted(1),
    deletedBooks: () => dispatch.deletedBooks(1),
    collectOrphans: () => dispatch.collectOrphans(1),
    abandonCalls: () => dispatch.abandonCalls(3_600_000),
    expireReplies: () => dispatch.expireReplies(3_600_000),
    open: () => ledger.open("u", opening()),
    settle: () => ledger.settle("u", "l", settlement()),
    findAnswer: () =>
      ledger.findAnswer("s", { keyId: "k", recipe: "r", recipeVersion: 1, since: new Date(0) }),
    spent: () => ledger.spent("u", "r"),
    spentOn: () => ledger.spentOn("u", "2030-01-01"),
    countSaved: () => ledger.countSaved("u", saved()),
    usage: () => ledger.usage("u", { from: "2030-01-01", to: "2030-01-02" }),
    erase: () => ledger.erase("u", { of: "book", bookId: "b" }),
    ledgerOfRun: () => ledger.ofRun("u", "r"),
    obtainSecret: () => secrets.obtain("s"),
    createKey: () => keys.create(KEY),
    findBySha256: () => keys.findBySha256("h"),
    listKeys: () => keys.list(),
    revoke: () => keys.revoke("key"),
    wereEverMade: () => keys.wereEverMade(),
    begin: () => replies.begin("u", "k", "f"),
    finish: () => replies.finish("u", "k", { status: 200, headers: {}, body: "" }),
    abandon: () => replies.abandon("u", "k"),
  };
}

interface Attempt {
  readonly code: unknown;
  readonly inTime: boolean;
}

async function attempt(call: () => Promise<unknown>, limitMs = NOTICED_MS): Promise<Attempt> {
  const before = performance.now();
  const code = await call().then(
    () => "answered",
    (error: unknown) => (error instanceof Error && "code" in error ? error.code : error),
  );
  return { code, inTime: performance.now() - before < limitMs };
}

/** All at once, as in a process that has much to do. */
async function attemptAll(store: Store): Promise<Record<string, Attempt>> {
  const calls = Object.entries(callsOf(store));
  return Object.fromEntries(
    await Promise.all(calls.map(async ([name, call]) => [name, await attempt(call)] as const)),
  );
}

function each(store: Store, expected: Attempt): Record<string, Attempt> {
  return Object.fromEntries(Object.keys(callsOf(store)).map((name) => [name, expected]));
}

const UNAVAILABLE: Attempt = { code: "store_unavailable", inTime: true };

const mongo: TestMongo | null = await startMongo();

afterAll(async () => {
  await mongo?.[Symbol.asyncDispose]();
}, 30_000);

test("a server that is not there is noticed in time", async () => {
  const open = () => openMongoStore({ url: "mongodb://127.0.0.1:1/none?directConnection=true" });
  expect(await attempt(open)).toEqual(UNAVAILABLE);
}, 20_000);

function describeFaults(own: TestMongo): void {
  describe("a MongoDB server in trouble", () => {
    let store: Store;

    beforeAll(async () => {
      store = await openMongoStore({ url: freshDatabase(own.url) });
    }, 30_000);

    afterAll(async () => {
      await store[Symbol.asyncDispose]();
    }, 30_000);

    async function answersAgain(): Promise<void> {
      await waitFor(() => store.ping().then(() => true), { what: "the store to answer", timeoutMs: 20_000 });
    }

    test("a frozen server is noticed in time by every call, and after it thaws all work again", async () => {
      const step = await claimedStep(store, "user");
      const { id } = await readyBook(store, "user");
      await own.pause();
      try {
        // Twice: on connections that were open, and once the driver itself has noticed.
        expect(await attemptAll(store)).toEqual(each(store, UNAVAILABLE));
        expect(await attemptAll(store)).toEqual(each(store, UNAVAILABLE));
        expect(await attempt(() => store.ping(), 2_000 + BUSY_MS)).toEqual(UNAVAILABLE);
        expect(await attempt(() => openMongoStore({ url: own.url }), 7_000 + BUSY_MS)).toEqual(UNAVAILABLE);
      } finally {
        await own.resume();
      }
      await answersAgain();
      expect(await store.steps.complete(step.id, step.fence, OUTCOME)).toBe(true);
      expect(await store.steps.results("user", [step.id])).toMatchObject([{ value: 1 }]);
      expect(await collect(store.books.readBytes("user", id))).not.toHaveLength(0);
      expect(await attemptAll(store)).toEqual(each(store, { code: "answered", inTime: true }));
    }, 60_000);

    test("a server that freezes in the middle of an upload is noticed in time", async () => {
      const upload = async function* (): AsyncGenerator<Uint8Array> {
        yield* pieces(Buffer.alloc(2_200_000));
        await own.pause();
        yield* pieces(Buffer.alloc(3_000_000));
      };
      try {
        expect(await attempt(() => store.books.storeBytes("user", "cut", upload()), 6_000 + BUSY_MS)).toEqual(
          UNAVAILABLE,
        );
      } finally {
        await own.resume();
      }
      await answersAgain();
      expect(await collect(store.books.readBytes("user", "cut"))).toHaveLength(0);
      expect(await store.dispatch.collectOrphans(-60_000)).toBeGreaterThan(0);
    }, 60_000);

    test("a killed server is noticed in time by every call, and everything acknowledged is there when it is back", async () => {
      const step = await claimedStep(store, "user");
      await own.stop();
      try {
        expect(await attemptAll(store)).toEqual(each(store, UNAVAILABLE));
      } finally {
        await own.start();
      }
      await answersAgain();
      expect(await store.steps.get("user", step.id)).toEqual(step);
      expect(await store.steps.heartbeat(step.id, step.fence, 15_000)).toBe(true);
    }, 90_000);

    test("a store can be closed while its server is frozen", async () => {
      const other = await openMongoStore({ url: freshDatabase(own.url) });
      await own.pause();
      try {
        expect(await attempt(() => Promise.resolve(other[Symbol.asyncDispose]()), 3_000 + BUSY_MS)).toEqual({
          code: "answered",
          inTime: true,
        });
      } finally {
        await own.resume();
      }
      await answersAgain();
    }, 30_000);
  });
}

if (mongo !== null) describeFaults(mongo);
