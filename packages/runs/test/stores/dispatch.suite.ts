import { describe, expect, test } from "@jest/globals";
import type { Step } from "../../src/step.ts";
import type { Store } from "../../src/store.ts";
import { type OpenFresh, storeForEach } from "./bench.ts";
import {
  chapter,
  claim,
  claimedStep,
  collect,
  createdRun,
  FAILURE,
  insertedStep,
  newBook,
  newStep,
  opening,
  PARSED,
  pieces,
  readyBook,
  settlement,
  storedBook,
  unique,
} from "./samples.ts";

const REDISPATCH_MS = 10_000;

async function dueIds(store: Store, limit = 100, perUser = 100): Promise<string[]> {
  return (await store.dispatch.due(limit, perUser, REDISPATCH_MS)).map((step) => step.id);
}

/** Purges until nothing more is finished in a while: one call may do a piece of the work only. */
async function purgeAll(store: Store): Promise<number> {
  let finished = 0;
  for (let turn = 0; turn < 20; turn++) finished += await store.dispatch.purgeDeleted(10);
  return finished;
}

export function describeDispatch(openFresh: OpenFresh): void {
  describe("leases", () => {
    const bench = storeForEach(openFresh);

    test("a lease that ran out gives the step back, at the cost of a crash", async () => {
      const { store, clock } = bench;
      const user = unique("user");
      const step = await claimedStep(store, user);
      const alive = await claimedStep(store, user);
      clock.advance(10_000);
      await store.steps.heartbeat(alive.id, alive.fence, 15_000);
      expect(await store.dispatch.expireLeases(3)).toEqual([]);
      clock.advance(5_001);
      const expired = await store.dispatch.expireLeases(3);
      expect(expired).toMatchObject([
        {
          id: step.id,
          user,
          state: "pending",
          fence: 1,
          owner: null,
          leaseUntil: null,
          crashes: 1,
          attempts: 0,
        },
      ]);
      expect(await store.steps.get(user, step.id)).toEqual(expired[0]);
      expect(await store.dispatch.expireLeases(3)).toEqual([]);
      expect(await dueIds(store)).toEqual([step.id]);
    });

    test("the last crash that is allowed makes a step dead", async () => {
      const { store, clock } = bench;
      const user = unique("user");
      const { id } = await insertedStep(store, user);
      const states: string[] = [];
      for (let crash = 1; crash <= 3; crash++) {
        await claim(store, id, 1_000);
        clock.advance(1_001);
        const [step] = await store.dispatch.expireLeases(3);
        states.push(`${step?.state} ${step?.crashes}`);
      }
      expect(states).toEqual(["pending 1", "pending 2", "dead 3"]);
      expect(await store.steps.get(user, id)).toMatchObject({
        state: "dead",
        owner: null,
        leaseUntil: null,
        endedAt: new Date(clock.at),
      });
      expect(await store.steps.claim(id, "worker", 1_000)).toBeNull();
      expect(await dueIds(store)).toEqual([]);
      expect(await store.steps.reset(user, [id])).toBe(1);
      expect(await store.steps.get(user, id)).toMatchObject({ state: "waiting", crashes: 0, fence: 3 });
      expect(await dueIds(store)).toEqual([]);
    });

    test("who lost the lease writes nothing more, before and after another claim", async () => {
      const { store, clock } = bench;
      const user = unique("user");
      const lost = await claimedStep(store, user);
      clock.advance(15_001);
      await store.dispatch.expireLeases(3);
      const outcome = { value: "late", reusedAnswers: 0 };
      expect(await store.steps.complete(lost.id, lost.fence, outcome)).toBe(false);
      const next = await claim(store, lost.id);
      expect(await store.steps.heartbeat(lost.id, lost.fence, 15_000)).toBe(false);
      expect(await store.steps.complete(lost.id, lost.fence, outcome)).toBe(false);
      expect(await store.steps.fail(lost.id, lost.fence, FAILURE, null)).toBe(false);
      expect(await store.steps.handBack(lost.id, lost.fence)).toBe(false);
      expect(await store.steps.results(user, [lost.id])).toEqual([]);
      expect(await store.steps.get(user, lost.id)).toEqual(next);
    });

    test("who is late but was not given up yet still finishes", async () => {
      const { store, clock } = bench;
      const user = unique("user");
      const step = await claimedStep(store, user);
      clock.advance(60_000);
      expect(await store.steps.heartbeat(step.id, step.fence, 15_000)).toBe(true);
      expect(await store.dispatch.expireLeases(3)).toEqual([]);
      expect(await store.steps.complete(step.id, step.fence, { value: 1, reusedAnswers: 0 })).toBe(true);
    });
  });

  describe("steps that are due", () => {
    const bench = storeForEach(openFresh);

    test("with a book's id only steps of that book are due", async () => {
      const { store } = bench;
      const user = unique("user");
      await insertedStep(store, user);
      const other = await insertedStep(store, user, { bookId: unique("book") });
      const due = await store.dispatch.due(100, 100, REDISPATCH_MS, other.bookId);
      expect(due.map((step) => step.id)).toEqual([other.id]);
    });

    test("steps are due oldest first, those made at the same time by id, and no more than asked for", async () => {
      const { store, clock } = bench;
      const user = unique("user");
      const made: string[] = [];
      for (let at = 0; at < 3; at++) {
        clock.advance(1_000);
        const pair = [newStep(user), newStep(unique("user"))];
        for (const step of pair.toReversed()) await store.steps.insert(step.user, [step]);
        made.push(...pair.map((step) => step.id));
      }
      expect(await dueIds(store)).toEqual(made);
      expect(await dueIds(store, 2)).toEqual(made.slice(0, 2));
      const [first] = await store.dispatch.due(1, 1, REDISPATCH_MS);
      expect(first).toEqual(await store.steps.get(user, first?.id ?? ""));
    });

    test("what is not pending, or not due yet, is not due", async () => {
      const { store, clock } = bench;
      const user = unique("user");
      const done = await claimedStep(store, user);
      await store.steps.complete(done.id, done.fence, { value: 1, reusedAnswers: 0 });
      await claimedStep(store, user);
      const waiting = await claimedStep(store, user);
      await store.steps.fail(waiting.id, waiting.fence, FAILURE, new Date(clock.at + 5_000));
      const pending = await insertedStep(store, user);
      expect(await dueIds(store)).toEqual([pending.id]);
      clock.advance(5_000);
      expect((await dueIds(store)).sort()).toEqual([waiting.id, pending.id].sort());
    });

    test("what was dispatched is due again when nobody claimed it for a while", async () => {
      const { store, clock } = bench;
      const user = unique("user");
      const { id } = await insertedStep(store, user);
      await store.dispatch.markDispatched([id, unique("step")]);
      expect(await store.steps.get(user, id)).toMatchObject({
        state: "pending",
        dispatches: 1,
        dispatchedAt: new Date(clock.at),
      });
      clock.advance(REDISPATCH_MS - 1);
      expect(await dueIds(store)).toEqual([]);
      clock.advance(2);
      expect(await dueIds(store)).toEqual([id]);
      await store.dispatch.markDispatched([id]);
      expect(await store.steps.get(user, id)).toMatchObject({ dispatches: 2 });
      await store.dispatch.markDispatched([]);
    });

    test("everything dispatched is due at once when the queue was wiped", async () => {
      const { store } = bench;
      const steps = [await insertedStep(store, unique("user")), await insertedStep(store, unique("user"))];
      await store.dispatch.markDispatched(steps.map((step) => step.id));
      expect(await dueIds(store)).toEqual([]);
      await store.dispatch.forgetDispatches();
      expect(await dueIds(store)).toEqual(steps.map((step) => step.id));
    });

    test.each<[string, (store: Store, step: Step) => Promise<unknown>]>([
      ["handed back", (store, step) => store.steps.handBack(step.id, step.fence)],
      ["failed for now", (store, step) => store.steps.fail(step.id, step.fence, FAILURE, new Date(0))],
    ])("a step that was %s is due at once, although it was dispatched just now", async (_, give) => {
      const { store } = bench;
      const { id } = await insertedStep(store, unique("user"));
      await store.dispatch.markDispatched([id]);
      await give(store, await claim(store, id));
      expect(await dueIds(store)).toEqual([id]);
    });

    test("a step whose lease ran out is due at once, although it was dispatched a moment ago", async () => {
      const { store, clock } = bench;
      const { id } = await insertedStep(store, unique("user"));
      await store.dispatch.markDispatched([id]);
      await claim(store, id, 1_000);
      clock.advance(1_001);
      await store.dispatch.expireLeases(3);
      expect(await dueIds(store)).toEqual([id]);
    });

    test("a step that starts over goes on counting its wake-ups, so that none is taken for an old one", async () => {
      const { store } = bench;
      const user = unique("user");
      const inserted = await insertedStep(store, user);
      const { id } = inserted;
      await store.dispatch.markDispatched([id]);
      const step = await claim(store, id);
      await store.steps.fail(id, step.fence, FAILURE, null);
      await store.steps.reset(user, [id]);
      await store.steps.insert(user, [inserted]);
      expect(await dueIds(store)).toEqual([id]);
      await store.dispatch.markDispatched([id]);
      expect(await store.steps.get(user, id)).toMatchObject({ dispatches: 2 });
    });

    test("one user gets a window, and others come after it", async () => {
      const { store, clock } = bench;
      const [many, few] = [unique("user"), unique("user")];
      const flood = Array.from({ length: 50 }, () => newStep(many));
      await store.steps.insert(many, flood);
      clock.advance(1);
      const late = await insertedStep(store, few);
      expect(await dueIds(store, 100, 3)).toEqual([...flood.slice(0, 3).map((step) => step.id), late.id]);
    });

    test("what a user has dispatched or at work counts for the window", async () => {
      const { store, clock } = bench;
      const user = unique("user");
      const steps = Array.from({ length: 10 }, () => newStep(user));
      await store.steps.insert(user, steps);
      const ids = steps.map((step) => step.id);
      await store.dispatch.markDispatched(ids.slice(0, 3));
      await claim(store, ids[0] ?? "", 60_000);
      expect(await dueIds(store, 100, 5)).toEqual(ids.slice(3, 5));
      await claim(store, ids[9] ?? "", 60_000);
      expect(await dueIds(store, 100, 5)).toEqual(ids.slice(3, 4));
      await store.dispatch.markDispatched(ids.slice(3, 4));
      expect(await dueIds(store, 100, 5)).toEqual([]);
      clock.advance(REDISPATCH_MS + 1);
      expect(await dueIds(store, 100, 5)).toEqual(ids.slice(1, 4));
    });

    test("the backlog counts what waits and what is at work, and how long the oldest is due", async () => {
      const { store, clock } = bench;
      expect(await store.dispatch.backlog()).toEqual({ pending: 0, running: 0, oldestDueMs: 0 });
      const user = unique("user");
      const waiting = await claimedStep(store, user);
      await store.steps.fail(waiting.id, waiting.fence, FAILURE, new Date(clock.at + 3_600_000));
      await claimedStep(store, user);
      expect(await store.dispatch.backlog()).toEqual({ pending: 1, running: 1, oldestDueMs: 0 });
      await insertedStep(store, user);
      clock.advance(4_000);
      await insertedStep(store, unique("user"));
      clock.advance(1_000);
      expect(await store.dispatch.backlog()).toEqual({ pending: 3, running: 1, oldestDueMs: 5_000 });
    });
  });

  describe("what the dispatcher looks after", () => {
    const bench = storeForEach(openFresh);

    test("live runs of all users come oldest first, page by page", async () => {
      const { store } = bench;
      const live: string[] = [];
      for (const status of ["queued", "succeeded", "running", "failed", "cancelling", "partial"] as const) {
        const run = await createdRun(store, unique("user"), { status });
        if (["queued", "running", "cancelling"].includes(status)) live.push(run.id);
      }
      const ids = async (limit: number, after: string | null): Promise<string[]> =>
        (await store.dispatch.liveRuns(limit, after)).map((run) => run.id);
      expect(await ids(10, null)).toEqual(live);
      expect(await ids(2, null)).toEqual(live.slice(0, 2));
      expect(await ids(2, live[1] ?? null)).toEqual(live.slice(2));
    });

    test("a run that has ended is live no more, and one that is retried is again", async () => {
      const { store } = bench;
      const user = unique("user");
      const run = await createdRun(store, user);
      await store.runs.update(user, run.id, 1, { status: "failed" });
      expect(await store.dispatch.liveRuns(10, null)).toEqual([]);
      const again = await store.runs.update(user, run.id, 2, { status: "queued" });
      expect(await store.dispatch.liveRuns(10, null)).toEqual([again]);
    });

    test("the live runs of a book are its own alone", async () => {
      const { store } = bench;
      const user = unique("user");
      const run = await createdRun(store, user);
      await createdRun(store, user, { bookId: run.bookId, status: "cancelled" });
      await createdRun(store, user);
      expect(await store.dispatch.liveRunsOfBook(run.bookId)).toEqual([run]);
      expect(await store.dispatch.liveRunsOfBook(unique("book"))).toEqual([]);
    });

    test("books that are stored or being parsed are unparsed, unless they were deleted", async () => {
      const { store } = bench;
      const user = unique("user");
      const stored = await storedBook(store, user);
      const parsing = await storedBook(store, unique("user"));
      await store.books.markParsing(parsing.user, parsing.id);
      await readyBook(store, user);
      const refused = await storedBook(store, user);
      await store.books.markRefused(user, refused.id, FAILURE);
      const deleted = await storedBook(store, user);
      await store.books.delete(user, deleted.id);
      expect((await store.dispatch.unparsedBooks(10)).map((book) => book.id)).toEqual([
        stored.id,
        parsing.id,
      ]);
      expect(await store.dispatch.unparsedBooks(1)).toHaveLength(1);
    });

    test("deleted books are named while a run of theirs is live", async () => {
      const { store } = bench;
      const user = unique("user");
      const [busy, idle, there] = [
        await storedBook(store, user),
        await storedBook(store, user),
        await storedBook(store, user),
      ];
      const run = await createdRun(store, user, { bookId: busy.id });
      await createdRun(store, user, { bookId: idle.id, status: "succeeded" });
      await createdRun(store, user, { bookId: there.id });
      await store.books.delete(user, busy.id);
      await store.books.delete(user, idle.id);
      const named = await store.dispatch.deletedBooks(10);
      expect(named).toMatchObject([{ id: busy.id, user }]);
      expect(named[0]?.deletedAt).toEqual(new Date(bench.clock.at));
      await store.runs.update(user, run.id, run.revision, { status: "cancelled" });
      expect(await store.dispatch.deletedBooks(10)).toEqual([]);
    });

    test("the rows of a deleted book go, and its runs and the ledger stay", async () => {
      const { store } = bench;
      const user = unique("user");
      const make = async (): Promise<{ bookId: string; runId: string; stepId: string; parseId: string }> => {
        const { id: bookId } = await readyBook(store, user);
        const { id: runId } = await createdRun(store, user, { bookId, status: "succeeded" });
        const step = await claimedStep(store, user, { bookId, runId });
        await store.steps.complete(step.id, step.fence, { value: 1, reusedAnswers: 0 });
        const { id: parseId } = await insertedStep(store, user, { bookId, runId: null, kind: "parse" });
        const call = opening({ runId, stepId: step.id });
        await store.ledger.open(user, call);
        await store.ledger.settle(user, call.id, settlement());
        return { bookId, runId, stepId: step.id, parseId };
      };
      const gone = await make();
      const kept = await make();
      await store.books.delete(user, gone.bookId);
      expect(await purgeAll(store)).toBe(1);
      expect(await store.steps.get(user, gone.stepId)).toBeNull();
      expect(await store.steps.get(user, gone.parseId)).toBeNull();
      expect(await store.steps.results(user, [gone.stepId])).toEqual([]);
      expect(await store.runs.get(user, gone.runId)).not.toBeNull();
      expect(await store.ledger.ofRun(user, gone.runId)).toHaveLength(1);
      expect(await store.steps.results(user, [kept.stepId])).toHaveLength(1);
      expect(await store.books.chapter(user, kept.bookId, 0)).not.toBeNull();
      expect(await collect(store.books.readBytes(user, kept.bookId))).not.toHaveLength(0);
      expect(await purgeAll(store)).toBe(0);
    });

    test("a deleted book is not purged before its runs have ended", async () => {
      const { store } = bench;
      const user = unique("user");
      const book = await storedBook(store, user);
      const run = await createdRun(store, user, { bookId: book.id });
      const step = await claimedStep(store, user, { bookId: book.id, runId: run.id });
      await store.books.delete(user, book.id);
      expect(await purgeAll(store)).toBe(0);
      expect(await store.steps.heartbeat(step.id, step.fence, 1_000)).toBe(true);
      expect(await store.dispatch.deletedBooks(10)).toHaveLength(1);
      await store.runs.update(user, run.id, run.revision, { status: "cancelled" });
      expect(await purgeAll(store)).toBe(1);
    });

    test("bytes without a book are collected when they are old, and no others", async () => {
      const { store, clock } = bench;
      const user = unique("user");
      const [orphan, young] = [unique("book"), unique("book")];
      await store.books.storeBytes(user, orphan, pieces("orphan"));
      const book = await storedBook(store, user);
      const duplicate = unique("book");
      await store.books.storeBytes(user, duplicate, pieces("again"));
      await store.books.create(user, newBook({ id: duplicate, sha256: book.sha256 }));
      clock.advance(60_000);
      await store.books.storeBytes(user, young, pieces("young"));
      clock.advance(1_000);
      expect(await store.dispatch.collectOrphans(30_000)).toBe(2);
      expect(await collect(store.books.readBytes(user, orphan))).toHaveLength(0);
      expect(await collect(store.books.readBytes(user, duplicate))).toHaveLength(0);
      expect(await collect(store.books.readBytes(user, book.id))).not.toHaveLength(0);
      expect(await collect(store.books.readBytes(user, young))).not.toHaveLength(0);
      expect(await store.dispatch.collectOrphans(30_000)).toBe(0);
    });

    test("an upload that broke off leaves nothing to collect", async () => {
      const { store, clock } = bench;
      const upload = async function* (): AsyncGenerator<Uint8Array> {
        yield* pieces("x".repeat(600_000));
        throw new Error("the client went away");
      };
      const stored = store.books.storeBytes(unique("user"), unique("book"), upload());
      await expect(stored).rejects.toThrow("went away");
      clock.advance(60_000);
      expect(await store.dispatch.collectOrphans(30_000)).toBe(0);
    });

    test("bytes under an id that is another user's book are collected too", async () => {
      const { store, clock } = bench;
      const book = await storedBook(store, unique("user"));
      const other = unique("user");
      await store.books.storeBytes(other, book.id, pieces("theirs"));
      clock.advance(60_000);
      expect(await store.dispatch.collectOrphans(30_000)).toBe(1);
      expect(await collect(store.books.readBytes(other, book.id))).toHaveLength(0);
      expect(await collect(store.books.readBytes(book.user, book.id))).not.toHaveLength(0);
    });

    test("the chapters of a ready book outlive every collection", async () => {
      const { store, clock } = bench;
      const user = unique("user");
      const ready = await readyBook(store, user);
      const parsing = await storedBook(store, user);
      await store.books.saveChapters(user, parsing.id, 1, [chapter(0)]);
      clock.advance(3_600_000);
      await store.dispatch.collectOrphans(60_000);
      expect(await store.books.outlines(user, ready.id)).toHaveLength(2);
      await store.books.markReady(user, parsing.id, 1, PARSED);
      expect(await store.books.outlines(user, parsing.id)).toHaveLength(1);
    });

    test("calls that nobody settled become unknown, and still count at their most", async () => {
      const { store, clock } = bench;
      const [user, runId] = [unique("user"), unique("run")];
      const [lost, settled] = [opening({ runId, cost: 700 }), opening({ runId })];
      await store.ledger.open(user, lost);
      await store.ledger.open(user, settled);
      await store.ledger.settle(user, settled.id, settlement({ cost: 10 }));
      clock.advance(60_000);
      await store.ledger.open(user, opening({ runId, cost: 5 }));
      clock.advance(1_000);
      expect(await store.dispatch.abandonCalls(30_000)).toBe(1);
      expect(await store.dispatch.abandonCalls(30_000)).toBe(0);
      const states = (await store.ledger.ofRun(user, runId)).map((row) => row.state);
      expect(states.sort()).toEqual(["answered", "sent", "unknown"]);
      expect(await store.ledger.spent(user, runId)).toMatchObject({ calls: 3, cost: 715 });
      await store.ledger.settle(user, lost.id, settlement({ cost: 600 }));
      expect(await store.ledger.spent(user, runId)).toMatchObject({ cost: 615 });
    });
  });
}
