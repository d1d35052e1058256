import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { waitFor } from "@mythic/testing/wait";
import { Dispatcher } from "../src/dispatcher.ts";
import { newId } from "../src/ids.ts";
import { isTerminal } from "../src/run.ts";
import { STEP_POLICY, type Step } from "../src/step.ts";
import type { Store } from "../src/store.ts";
import { openStore } from "../src/stores/open-store.ts";
import { submitBook } from "../src/submit-book.ts";
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

/** Does what a worker does with a step, with results that say whose they are. */
async function execute(at: Store, step: Step): Promise<unknown> {
  if (step.kind !== "parse") return { by: step.id };
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

/** A process that dispatches and works until the run has ended or the process was killed. */
async function live(at: Store, isDead: () => boolean): Promise<void> {
  const wakeUps = openLocalWakeUps();
  const onError = () => undefined;
  const dispatcher = new Dispatcher({ store: at, wakeUps, onError });
  const listener = wakeUps.listen(async (id) => {
    try {
      const step = await at.steps.claim(id, "worker", STEP_POLICY.leaseMs);
      if (!step) return { state: "skipped" };
      await at.steps.complete(step.id, step.fence, { value: await execute(at, step), reusedAnswers: 0 });
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

/** Uploads and submits as the API does, on a store that may die under it. */
async function submit(at: Store): Promise<void> {
  const dispatcher = new Dispatcher({ store: at, wakeUps: openLocalWakeUps(), onError: () => undefined });
  const submission = { store: at, advancer: dispatcher.advancer };
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
        await store[Symbol.asyncDispose]();
        await rm(directory, { recursive: true });
        store = await openStore({ dataDir: directory, now: () => clock });
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
  expect(results.map((result) => result.value)).toEqual(steps.map((step) => ({ by: step.id })));
}
