import type { Store } from "../../src/store.ts";
import {
  chapter,
  claim,
  claimedStep,
  collect,
  createdRun,
  FAILURE,
  insertedStep,
  newBook,
  opening,
  readyBook,
  saved,
  settlement,
  sha256,
  storedBook,
} from "./samples.ts";

/** Calls every function of a store at least once, and leaves some of everything behind. */
export async function exerciseEverything(store: Store, user: string): Promise<void> {
  await exerciseBooks(store, user);
  await exerciseRuns(store, user);
  await exerciseSteps(store, user);
  await exerciseOthers(store, user);
  await exerciseDispatch(store);
}

async function exerciseBooks(store: Store, user: string): Promise<void> {
  const { books } = store;
  const ready = await readyBook(store, user);
  const refused = await storedBook(store, user);
  await books.markParsing(user, refused.id);
  await books.saveChapters(user, refused.id, 1, [chapter(0)]);
  await books.markRefused(user, refused.id, FAILURE);
  const deleted = await books.create(user, newBook());
  await books.delete(user, deleted.book.id);
  await books.list(user, { limit: 2, after: null });
  await books.list(user, { limit: 2, after: ready.id });
  await books.bytesStored(user);
  await books.outlines(user, ready.id);
  await books.chapter(user, ready.id, 0);
  await collect(books.readBytes(user, ready.id));
  await books.removeBytes(user, "nothing");
}

async function exerciseRuns(store: Store, user: string): Promise<void> {
  const { runs } = store;
  const run = await createdRun(store, user);
  await runs.update(user, run.id, run.revision, { status: "running", runningAt: new Date() });
  await runs.list(user, { limit: 2, after: null });
  await runs.list(user, { limit: 2, after: run.id, status: ["failed"], bookId: run.bookId });
  await runs.get(user, run.id);
}

async function exerciseSteps(store: Store, user: string): Promise<void> {
  const { steps } = store;
  const runId = "run_exercised";
  const step = await claimedStep(store, user, { runId });
  await steps.heartbeat(step.id, step.fence, 15_000);
  await steps.handBack(step.id, step.fence);
  const again = await claim(store, step.id);
  await steps.complete(again.id, again.fence, { value: 1, reusedAnswers: 0 });
  await steps.results(user, [step.id]);
  await steps.reset(user, [step.id]);
  const failing = await claimedStep(store, user, { runId });
  await steps.fail(failing.id, failing.fence, FAILURE, new Date(0));
  const postponed = await claim(store, failing.id);
  await steps.postpone(postponed.id, postponed.fence, FAILURE, new Date(0));
  await steps.hasten(postponed.id);
  const cancelled = await claim(store, failing.id);
  await steps.cancel(cancelled.id, cancelled.fence);
  const failed = await claimedStep(store, user, { runId });
  await steps.fail(failed.id, failed.fence, FAILURE, null);
  await insertedStep(store, user, { runId });
  await steps.cancelPending(user, runId);
  await insertedStep(store, user, { runId });
  await steps.ofRun(user, runId);
  await steps.get(user, step.id);
}

async function exerciseOthers(store: Store, user: string): Promise<void> {
  const { keys, replies } = store;
  await exerciseLedger(store, user);
  await store.secrets.obtain("secret");
  const key = { id: "key", user, role: "user", sha256: sha256("key"), lastFour: "wxyz" } as const;
  await keys.create({ ...key, createdAt: new Date(), revokedAt: null });
  await keys.findBySha256(key.sha256);
  await keys.list();
  await keys.revoke(key.id);
  await keys.wereEverMade();
  await replies.begin(user, "key", "print");
  await replies.begin(user, "key", "print");
  await replies.finish(user, "key", { status: 200, headers: {}, body: "" });
  await replies.abandon(user, "key");
}

async function exerciseLedger({ ledger }: Store, user: string): Promise<void> {
  const [runId, keyId] = ["run_exercised", "v1.key"];
  const calls = [opening({ runId, keyId }), opening({ runId, keyId })];
  for (const call of calls) await ledger.open(user, call);
  for (const { id } of calls) await ledger.settle(user, id, settlement());
  const recipe = { recipe: "summary", recipeVersion: 1 };
  await ledger.findAnswer("user:someone", { keyId, ...recipe, since: new Date(0) });
  await ledger.spent(user, runId);
  await ledger.ofRun(user, runId);
  await ledger.spentOn(user, "2030-01-01");
  await ledger.countSaved(user, saved());
  for (const whose of [user, null]) {
    await ledger.usage(whose, { from: "2000-01-01", to: "2100-01-01" });
    await ledger.erase(whose, { of: "run", runId });
    await ledger.erase(whose, { of: "book", bookId: "book" });
    await ledger.erase(whose, { of: "model", model: "model" });
    await ledger.erase(whose, { of: "recipe", ...recipe });
    await ledger.erase(whose, { of: "everything" });
  }
}

async function exerciseDispatch(store: Store): Promise<void> {
  const { dispatch } = store;
  await claimedStep(store, "late", {});
  const { id } = await insertedStep(store, "waiting", {});
  await dispatch.due(10, 10, 1_000);
  await dispatch.markDispatched([id]);
  await dispatch.forgetDispatches();
  await dispatch.expireLeases(3);
  const crashed = await insertedStep(store, "crashed");
  await store.steps.claim(crashed.id, "worker", -1);
  await dispatch.expireLeases(1);
  await dispatch.backlog();
  await dispatch.liveRuns(10, null);
  await dispatch.liveRunsOfBook("book");
  await dispatch.unparsedBooks(10);
  await dispatch.deletedBooks(10);
  await dispatch.purgeDeleted(10);
  await dispatch.collectOrphans(0);
  await dispatch.abandonCalls(0);
  await dispatch.expireReplies(0);
}
