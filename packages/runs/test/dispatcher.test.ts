import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { cancelRun } from "../src/cancel-run.ts";
import { Dispatcher, type DispatcherOptions } from "../src/dispatcher.ts";
import { newId } from "../src/ids.ts";
import { retryRun } from "../src/retry-run.ts";
import type { Run } from "../src/run.ts";
import type { NewStep } from "../src/step.ts";
import type { Store } from "../src/store.ts";
import { openStore } from "../src/stores/open-store.ts";
import { submitBook } from "../src/submit-book.ts";
import { submitRun } from "../src/submit-run.ts";
import type { WakeUp, WakeUps } from "../src/wake-ups.ts";
import { chaptersOf } from "./samples.ts";

let directory: string;
let store: Store;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "mythic-dispatcher-"));
  store = await openStore({ dataDir: directory });
});

afterEach(async () => {
  await store[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

/** Wake-ups that nobody hears, kept to be looked at. */
function silentWakeUps(kind: WakeUps["kind"], capacity: () => number) {
  const woken: WakeUp[] = [];
  const wakeUps: WakeUps = {
    kind,
    capacity,
    wake: async (wakeUps) => {
      woken.push(...wakeUps);
    },
    listen: () => ({ close: async () => undefined }),
    onCapacity: () => undefined,
    wasWiped: async () => false,
    [Symbol.asyncDispose]: async () => undefined,
  };
  return { wakeUps, woken };
}

function dispatcherOn(at: Store, options: Partial<DispatcherOptions> = {}) {
  const errors: unknown[] = [];
  const { wakeUps } = silentWakeUps("local", () => 0);
  const onError = (error: unknown) => errors.push(error);
  return { dispatcher: new Dispatcher({ store: at, wakeUps, onError, ...options }), errors };
}

async function addBook(user: string): Promise<string> {
  const id = newId("book");
  const content = (async function* () {
    yield Buffer.from(id);
  })();
  const stored = await store.books.storeBytes(user, id, content);
  const submission = { store, advancer: dispatcherOn(store).dispatcher.advancer };
  await submitBook(submission, user, { id, ...stored, format: "text", fileName: null });
  return id;
}

async function addReadyBook(user: string, chapters: number): Promise<string> {
  const id = await addBook(user);
  await store.books.saveChapters(user, id, 1, chaptersOf(chapters));
  const facts = { title: null, authors: [], language: null, warnings: [] };
  await store.books.markReady(user, id, 1, { ...facts, chapters, characters: chapters * 100 });
  const parse = await store.steps.claim(`${id}.parse`, "worker", 60_000);
  if (parse) await store.steps.complete(parse.id, parse.fence, { value: null, reusedAnswers: 0 });
  return id;
}

async function addRun(user: string, bookId: string): Promise<Run> {
  const submission = { store, advancer: dispatcherOn(store).dispatcher.advancer };
  const options = { maxCost: null, fresh: false };
  return await submitRun(submission, user, { bookId, recipes: ["summary"], options, model: null });
}

/** The store with some functions replaced. */
function storeWith(change: {
  readonly runs?: Partial<Store["runs"]>;
  readonly steps?: Partial<Store["steps"]>;
  readonly dispatch?: Partial<Store["dispatch"]>;
}): Store {
  const over = <Part extends object>(part: Part, changes: Partial<Part> = {}): Part =>
    new Proxy(part, {
      get(target, name) {
        const member: unknown = Reflect.get(changes, name) ?? Reflect.get(target, name);
        return typeof member === "function" ? member.bind(target) : member;
      },
    });
  return over(store, {
    runs: over(store.runs, change.runs),
    steps: over(store.steps, change.steps),
    dispatch: over(store.dispatch, change.dispatch),
  });
}

describe("the dispatcher", () => {
  test("hears a call that comes just as its last look ends", async () => {
    for (let ticks = 0; ticks < 12; ticks++) {
      let looks = 0;
      const looking = storeWith({
        dispatch: {
          due: async () => {
            looks++;
            return [];
          },
        },
      });
      const { wakeUps } = silentWakeUps("bullmq", () => 8);
      const { dispatcher } = dispatcherOn(looking, { wakeUps });
      const first = dispatcher.dispatch();
      for (let tick = 0; tick < ticks; tick++) await Promise.resolve();
      const before = looks;
      await dispatcher.dispatch();
      await first;
      expect({ ticks, looks: looks - before }).toEqual({ ticks, looks: 1 });
    }
  });

  test("lets no run that cannot be recounted keep the others from it", async () => {
    const bookId = await addBook("ada");
    const [broken, whole] = [await addRun("ada", bookId), await addRun("ada", bookId)];
    await store.books.markRefused("ada", bookId, { code: "drm_protected", detail: "It is encrypted." });
    const failing = storeWith({
      steps: {
        ofRun: async (user, runId) => {
          if (runId === broken.id) throw new TypeError("a row that nobody can read");
          return await store.steps.ofRun(user, runId);
        },
      },
    });
    const { dispatcher, errors } = dispatcherOn(failing);
    await dispatcher.turn();
    expect((await store.runs.get("ada", whole.id))?.status).toBe("failed");
    expect(errors).toEqual([expect.any(TypeError)]);
  });

  test("fails the runs that wait for a book when it is refused", async () => {
    const bookId = await addBook("ada");
    const runs = [await addRun("ada", bookId), await addRun("ada", bookId)];
    const parse = await store.steps.claim(`${bookId}.parse`, "worker", 60_000);
    const error = { code: "drm_protected", detail: "It is encrypted." };
    const value = { status: "refused", error };
    await store.steps.complete(parse?.id ?? "", parse?.fence ?? 0, { value, reusedAnswers: 0 });
    await dispatcherOn(store).dispatcher.turn();
    for (const { id } of runs) {
      expect(await store.runs.get("ada", id)).toMatchObject({ status: "failed", error, runningAt: null });
    }
  });

  test("gives the slots of a process on its own to those first who have the fewest steps at work", async () => {
    const slots = 4;
    await addRun("ada", await addReadyBook("ada", 40));
    await addRun("bob", await addReadyBook("bob", 3));
    let free = slots;
    const { wakeUps, woken } = silentWakeUps("local", () => free);
    const { dispatcher } = dispatcherOn(store, { wakeUps });
    await dispatcher.dispatch();
    const users = async () => {
      const steps = await Promise.all(woken.splice(0).map(({ stepId }) => claim(stepId)));
      return steps.map((step) => step?.user).toSorted();
    };
    const claim = (id: string) => store.steps.claim(id, "worker", 60_000);
    expect(await users()).toEqual(["ada", "ada", "bob", "bob"]);
    free = 1;
    await dispatcher.dispatch();
    expect(await users()).toHaveLength(1);
    free = 30;
    await dispatcher.dispatch();
    expect((await users()).filter((user) => user === "ada").length).toBeGreaterThan(25);
  });

  test("does not ask a queue that cannot be reached, but works here", async () => {
    await addRun("ada", await addReadyBook("ada", 3));
    const queue = silentWakeUps("bullmq", () => 0);
    const here = silentWakeUps("local", () => 2);
    const { dispatcher } = dispatcherOn(store, { wakeUps: queue.wakeUps, fallback: here.wakeUps });
    expect(await dispatcher.dispatch()).toBe(2);
    expect(queue.woken).toEqual([]);
    expect(here.woken).toHaveLength(2);
  });
});

describe("taking a run to what its steps say", () => {
  test("rests between two rounds of a run of thousands of steps, and calls meanwhile share one round", async () => {
    const chapters = 1_500;
    const run = await addRun("ada", await addReadyBook("ada", chapters));
    let rounds = 0;
    const counting = storeWith({
      steps: {
        ofRun: async (user: string, id: string) => {
          rounds++;
          return await store.steps.ofRun(user, id);
        },
      },
    });
    const { advancer } = dispatcherOn(counting).dispatcher;
    await advancer.advanceRun("ada", run.id);
    const endedAt = performance.now();
    await Promise.all(Array.from({ length: 100 }, () => advancer.advanceRun("ada", run.id)));
    expect(performance.now() - endedAt).toBeGreaterThan(chapters * 0.03 - 2);
    expect(rounds).toBe(2);
  });

  test("a round that fails keeps none of those after it from their turn", async () => {
    const run = await addRun("ada", await addReadyBook("ada", 2));
    let failures = 1;
    const failing = storeWith({
      steps: {
        ofRun: async (user: string, id: string) => {
          if (failures-- > 0) throw new Error("once");
          return await store.steps.ofRun(user, id);
        },
      },
    });
    const { advancer } = dispatcherOn(failing).dispatcher;
    const [first, second] = [advancer.advanceRun("ada", run.id), advancer.advanceRun("ada", run.id)];
    await expect(first).rejects.toThrow("once");
    await expect(second).resolves.toBeUndefined();
  });

  test("says of a run cancelled before anyone worked on it that it never ran", async () => {
    const run = await addRun("ada", await addReadyBook("ada", 2));
    const submission = { store, advancer: dispatcherOn(store).dispatcher.advancer };
    expect(await cancelRun(submission, "ada", run.id)).toMatchObject({
      status: "cancelled",
      runningAt: null,
      cancelledAt: expect.any(Date),
    });
  });
});

describe("a retry of an ended run", () => {
  /** A run of three chapters of which one was never done; it is cancelled. */
  async function cancelledRun(): Promise<{ run: Run; plan: readonly NewStep[] }> {
    const run = await addRun("ada", await addReadyBook("ada", 3));
    const [first, second] = await store.steps.ofRun("ada", run.id);
    for (const step of [first, second]) {
      const claimed = await store.steps.claim(step?.id ?? "", "worker", 60_000);
      if (!claimed) throw new Error("nothing to claim");
      await store.steps.complete(claimed.id, claimed.fence, { value: "made", reusedAnswers: 0 });
    }
    const submission = { store, advancer: dispatcherOn(store).dispatcher.advancer };
    await cancelRun(submission, "ada", run.id);
    return { run, plan: await store.steps.ofRun("ada", run.id) };
  }

  test("takes back a merge that someone inserted as the run ended, until its inputs are there", async () => {
    const { run, plan } = await cancelledRun();
    const inputs = plan.map((step) => step.id);
    const merge: NewStep = {
      ...{ id: `${run.id}.summary.merge.1.0000`, user: "ada", bookId: run.bookId, runId: run.id, inputs },
      ...{ kind: "merge", recipe: "summary", unit: "book", title: "the whole book" },
    };
    await store.steps.insert("ada", [merge]);
    const submission = { store, advancer: dispatcherOn(store).dispatcher.advancer };
    await retryRun(submission, "ada", run.id);
    expect((await store.steps.ofRun("ada", run.id)).map((step) => step.state)).toEqual([
      ...["done", "done", "pending"],
      "waiting",
    ]);
  });

  test("asked for twice at once takes back nothing that was made since", async () => {
    const { run } = await cancelledRun();
    const { advancer } = dispatcherOn(store).dispatcher;
    const submission = { store, advancer };
    const late = Promise.withResolvers<void>();
    const slow = storeWith({
      steps: {
        ofRun: async (user: string, id: string) => {
          const steps = await store.steps.ofRun(user, id);
          await late.promise;
          return steps;
        },
      },
    });
    const retrying = retryRun({ store: slow, advancer }, "ada", run.id);
    await retryRun(submission, "ada", run.id);
    const third = `${run.id}.summary.chapter.0002`;
    const claimed = await store.steps.claim(third, "worker", 60_000);
    if (claimed) {
      await store.steps.complete(third, claimed.fence, { value: "made", reusedAnswers: 0 });
    }
    late.resolve();
    await retrying;
    expect((await store.steps.get("ada", third))?.state).toBe(claimed ? "done" : "pending");
  });
});
