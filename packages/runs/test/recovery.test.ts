import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { waitFor } from "@mythic/testing/wait";
import { cancelRun } from "../src/cancel-run.ts";
import { deleteBook } from "../src/delete-book.ts";
import { Dispatcher } from "../src/dispatcher.ts";
import { newId } from "../src/ids.ts";
import { retryRun } from "../src/retry-run.ts";
import { isTerminal, type Run } from "../src/run.ts";
import { STEP_POLICY, type Step } from "../src/step.ts";
import type { Store } from "../src/store.ts";
import { openStore } from "../src/stores/open-store.ts";
import { type Submission, submitBook } from "../src/submit-book.ts";
import { submitRun } from "../src/submit-run.ts";
import { openLocalWakeUps } from "../src/wake-ups/open-wake-ups.ts";
import { Killed, mortalStore } from "./mortal-store.ts";
import { chaptersOf } from "./samples.ts";

const USER = "ada";
const CHAPTERS = 3;
/** Parse, three chapters, one merge, one finish. */
const STEPS = CHAPTERS + 3;

let directory: string;
let store: Store;
let clock: number;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "mythic-recovery-"));
  clock = Date.now();
  store = await openStore({ dataDir: directory, now: () => clock });
});

afterEach(async () => {
  await store[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

async function* bytes(): AsyncGenerator<Uint8Array> {
  yield Buffer.from("a book");
}

/** Does what a worker does with a step, with results that say whose they are and from how many others they were made. */
async function execute(at: Store, step: Step): Promise<unknown> {
  if (step.kind !== "parse") {
    return { by: step.id, of: (await at.steps.results(step.user, step.inputs)).length };
  }
  await at.books.markParsing(step.user, step.bookId);
  await at.books.saveChapters(step.user, step.bookId, step.fence, chaptersOf(CHAPTERS));
  const parsed = {
    title: "T",
    authors: [],
    language: null,
    warnings: [],
    chapters: CHAPTERS,
    characters: 300,
  };
  return { status: "ready", edition: step.fence, parsed };
}

/** A process that dispatches and works until the run has ended or the process was killed. Chapters named in `fails` fail. */
async function live(at: Store, isDead: () => boolean, fails: readonly string[] = []): Promise<void> {
  const wakeUps = openLocalWakeUps();
  const onError = () => undefined;
  const dispatcher = new Dispatcher({ store: at, wakeUps, onError });
  const listener = wakeUps.listen(async (id) => {
    try {
      const step = await at.steps.claim(id, "worker", STEP_POLICY.leaseMs);
      if (!step) return { state: "skipped" };
      if (step.kind === "chapter" && fails.includes(step.unit)) {
        await at.steps.fail(step.id, step.fence, { code: "model_refused", detail: "No." }, null);
      } else {
        await at.steps.complete(step.id, step.fence, { value: await execute(at, step), reusedAnswers: 0 });
      }
      await dispatcher.advance(step);
      return { state: "done" };
    } catch {
      return { state: "failed" };
    }
  }, 2);
  let now = Date.now();
  await waitFor(
    async () => {
      now += 10_000;
      await dispatcher.turn(now);
      const { items } = await store.runs.list(USER, { limit: 10, after: null });
      return isDead() || (items.length > 0 && items.every((run) => isTerminal(run.status)));
    },
    { what: "the run to end or the process to die" },
  );
  await listener.close();
  await wakeUps[Symbol.asyncDispose]();
}

/** What the API holds: it dispatches, and works on nothing. */
function apiOn(at: Store): Submission {
  const dispatcher = new Dispatcher({ store: at, wakeUps: openLocalWakeUps(), onError: () => undefined });
  return { store: at, advancer: dispatcher.advancer };
}

/** Uploads and submits as the API does, on a store that may die under it. */
async function submit(at: Store): Promise<void> {
  const submission = apiOn(at);
  const id = newId("book");
  const { bytes: size, sha256 } = await at.books.storeBytes(USER, id, bytes());
  const { book } = await submitBook(submission, USER, {
    id,
    sha256,
    bytes: size,
    format: "text",
    fileName: null,
  });
  const options = { maxCost: null, fresh: false };
  await submitRun(submission, USER, { bookId: book.id, recipes: ["summary"], options, model: null });
}

async function liveOnce(killAt: number, moment: "before" | "after"): Promise<number> {
  const mortal = mortalStore(store, killAt, moment);
  try {
    await submit(mortal.store);
  } catch (error) {
    if (!(error instanceof Killed)) throw error;
  }
  if (!mortal.isDead()) await live(mortal.store, mortal.isDead);
  return mortal.writes();
}

describe("a process killed at any of its writes", () => {
  test.each(["before", "after"] as const)(
    "right %s it leaves nothing that another does not finish",
    async (moment) => {
      const total = await liveOnce(Number.POSITIVE_INFINITY, moment);
      expect(total).toBeGreaterThan(2 * STEPS);
      for (let killAt = 1; killAt <= total; killAt++) {
        await beginAnew();
        await liveOnce(killAt, moment);
        // What was answered as accepted is the run's row; without it the client knows that it has to ask again.
        const accepted = await store.runs.list(USER, { limit: 10, after: null });
        if (accepted.items.length === 0) await submit(store);
        clock += STEP_POLICY.leaseMs + 1;
        await live(store, () => false);
        await expectOneOfEach(killAt);
      }
    },
  );
});

describe("a process killed at any write of what a client asked for", () => {
  const moments = ["before", "after"] as const;

  test.each(moments)("right %s it leaves a cancelled run to another to end", async (moment) => {
    await untilNotKilled(moment, async (ask) => {
      await submit(store);
      const parse = await claimOnly(".parse");
      await store.steps.complete(parse.id, parse.fence, {
        value: await execute(store, parse),
        reusedAnswers: 0,
      });
      await apiOn(store).advancer.advanceBook(USER, parse.bookId);
      const { id } = await theRun();
      const atWork = await claimOnly("chapter.0001");
      await ask((api) => cancelRun(api, USER, id));
      if ((await theRun()).status !== "cancelling") await cancelRun(apiOn(store), USER, id);
      await store.steps.cancel(atWork.id, atWork.fence);
      await live(store, () => false);
      expect((await theRun()).status).toBe("cancelled");
      const states = (await store.steps.ofRun(USER, id)).map((step) => step.state);
      expect(states).toEqual(new Array(CHAPTERS).fill("cancelled"));
    });
  });

  test.each(moments)("right %s it leaves a retried run to another to finish", async (moment) => {
    await untilNotKilled(moment, async (ask, killAt) => {
      await submit(store);
      await live(store, () => false, ["1"]);
      const { id, status } = await theRun();
      expect(status).toBe("partial");
      await ask((api) => retryRun(api, USER, id));
      if (isTerminal((await theRun()).status)) await retryRun(apiOn(store), USER, id);
      await live(store, () => false);
      await expectOneOfEach(killAt);
      const steps = await store.steps.ofRun(USER, id);
      const kept = steps.filter((step) => step.fence === 1).map((step) => step.unit);
      expect(kept).toEqual(["0", "2"]);
    });
  });

  test.each(moments)("right %s it leaves a deleted book to another to remove", async (moment) => {
    await untilNotKilled(moment, async (ask) => {
      await submit(store);
      const run = await theRun();
      const { bookId } = run;
      await ask((api) => deleteBook(api, USER, bookId));
      await store.books.delete(USER, bookId);
      await tidy();
      expect((await theRun()).status).toBe("cancelled");
      expect(await store.steps.get(USER, `${bookId}.parse`)).toBeNull();
      expect(await store.steps.ofRun(USER, run.id)).toEqual([]);
      expect(await Array.fromAsync(store.books.readBytes(USER, bookId))).toEqual([]);
      expect(await store.dispatch.deletedBooks(10)).toEqual([]);
    });
  });
});

type Ask = (request: (api: Submission) => Promise<unknown>) => Promise<void>;

/** Plays a scene on an empty store with a kill at its first write, its second, and so on until it has no more. */
async function untilNotKilled(
  moment: "before" | "after",
  scene: (ask: Ask, killAt: number) => Promise<void>,
): Promise<void> {
  let killed = true;
  let killAt = 1;
  for (; killed; killAt++) {
    killed = false;
    await beginAnew();
    const ask: Ask = async (request) => {
      const mortal = mortalStore(store, killAt, moment);
      try {
        await request(apiOn(mortal.store));
      } catch (error) {
        if (!(error instanceof Killed)) throw error;
        killed = true;
      }
    };
    await scene(ask, killAt);
  }
  expect(killAt).toBeGreaterThan(3);
}

async function beginAnew(): Promise<void> {
  await store[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
  store = await openStore({ dataDir: directory, now: () => clock });
}

async function theRun(): Promise<Run> {
  const { items } = await store.runs.list(USER, { limit: 10, after: null });
  const [run] = items;
  if (!run || items.length > 1) throw new Error(`${items.length} runs`);
  return run;
}

/** Claims the one step whose id ends so. */
async function claimOnly(ending: string): Promise<Step> {
  const due = await store.dispatch.due(100, 100, 0);
  const wanted = due.find((step) => step.id.endsWith(ending));
  const claimed = await store.steps.claim(wanted?.id ?? "", "worker", STEP_POLICY.leaseMs);
  if (!claimed) throw new Error(`no step ${ending}`);
  return claimed;
}

/** A process that works on nothing, for two rounds of tidying. */
async function tidy(): Promise<void> {
  const dispatcher = new Dispatcher({
    store,
    wakeUps: openLocalWakeUps(),
    onError: (error) => {
      throw error;
    },
  });
  for (const now of [1, 2]) await dispatcher.turn(now * 3_600_000);
}

async function expectOneOfEach(killAt: number): Promise<void> {
  const { items } = await store.runs.list(USER, { limit: 10, after: null });
  expect({ killAt, statuses: items.map((run) => run.status) }).toEqual({ killAt, statuses: ["succeeded"] });
  const [run] = items;
  expect(run?.counts).toEqual({ total: CHAPTERS + 1, completed: CHAPTERS + 1, failed: 0 });
  const steps = await store.steps.ofRun(USER, run?.id ?? "");
  expect(steps.map((step) => step.state)).toEqual(new Array(CHAPTERS + 2).fill("done"));
  const results = await store.steps.results(
    USER,
    steps.map((step) => step.id),
  );
  expect(results.map((result) => result.value)).toEqual(
    steps.map((step) => ({ by: step.id, of: step.inputs.length })),
  );
}
