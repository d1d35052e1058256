import { describe, expect, test } from "@jest/globals";
import type { NewStep, StepState } from "../../src/step.ts";
import type { Store } from "../../src/store.ts";
import { type OpenFresh, storeForAll } from "./bench.ts";
import { claim, claimedStep, FAILURE, insertedStep, newStep, ODD_IDS, unique } from "./samples.ts";

/** Why a step is postponed. */
const WAITS = { code: "model_rate_limited", detail: "The model takes no more calls this minute." };
const OUTCOME = { value: { text: "late" }, reusedAnswers: 0 };

/** Everything that a worker may write with its fence. */
const WRITES: Record<string, (store: Store, id: string, fence: number) => Promise<boolean>> = {
  heartbeat: (store, id, fence) => store.steps.heartbeat(id, fence, 15_000),
  complete: (store, id, fence) => store.steps.complete(id, fence, OUTCOME),
  "fail for good": (store, id, fence) => store.steps.fail(id, fence, FAILURE, null),
  "fail for now": (store, id, fence) => store.steps.fail(id, fence, FAILURE, new Date(0)),
  handBack: (store, id, fence) => store.steps.handBack(id, fence),
  postpone: (store, id, fence) => store.steps.postpone(id, fence, WAITS, new Date(0)),
  cancel: (store, id, fence) => store.steps.cancel(id, fence),
};

/** Ways to lose a fence: each leaves a step, and a fence that is not the one it is worked on under. */
const LOSSES: Record<string, (store: Store, user: string) => Promise<{ id: string; fence: number }>> = {
  "nobody ever claimed": async (store, user) => ({ id: (await insertedStep(store, user)).id, fence: 0 }),
  "was handed back": async (store, user) => {
    const step = await claimedStep(store, user);
    await store.steps.handBack(step.id, step.fence);
    return step;
  },
  "was handed back and claimed by another": async (store, user) => {
    const step = await claimedStep(store, user);
    await store.steps.handBack(step.id, step.fence);
    await claim(store, step.id);
    return step;
  },
  "is at work under a lower fence": async (store, user) => {
    const step = await claimedStep(store, user);
    return { id: step.id, fence: step.fence + 1 };
  },
  "is done": async (store, user) => {
    const step = await claimedStep(store, user);
    await store.steps.complete(step.id, step.fence, { value: 1, reusedAnswers: 0 });
    return step;
  },
  "has failed": async (store, user) => {
    const step = await claimedStep(store, user);
    await store.steps.fail(step.id, step.fence, FAILURE, null);
    return step;
  },
  "was cancelled": async (store, user) => {
    const step = await claimedStep(store, user);
    await store.steps.cancel(step.id, step.fence);
    return step;
  },
  "does not exist": () => Promise.resolve({ id: unique("step"), fence: 1 }),
};

const LOST = Object.keys(LOSSES).flatMap((loss) =>
  Object.keys(WRITES).map((write) => [write, loss] as const),
);

export function describeSteps(openFresh: OpenFresh): void {
  describe("steps", () => {
    const bench = storeForAll(openFresh);

    test("a new step is pending and due at once", async () => {
      const { store, clock } = bench;
      const user = unique("user");
      const step = newStep(user, { title: "Kapitel „Schnee“ 𝔐", inputs: ["a.b", "c"], unit: "1.2" });
      const bare = newStep(user, { runId: null, recipe: null, kind: "parse" });
      expect(await store.steps.insert(user, [step, bare])).toBe(2);
      const fresh = {
        state: "pending",
        fence: 0,
        owner: null,
        leaseUntil: null,
        attempts: 0,
        crashes: 0,
        handbacks: 0,
        notBefore: new Date(clock.at),
        dispatches: 0,
        dispatchedAt: null,
        error: null,
        postponed: null,
        resultId: null,
        reusedAnswers: 0,
        createdAt: new Date(clock.at),
        startedAt: null,
        endedAt: null,
      };
      expect(await store.steps.get(user, step.id)).toEqual({ ...step, ...fresh });
      expect(await store.steps.get(user, bare.id)).toEqual({ ...bare, ...fresh });
    });

    test("a repeated insert leaves what is there as it is and counts what is new", async () => {
      const { steps } = bench.store;
      const user = unique("user");
      const first = await claimedStep(bench.store, user);
      const before = await steps.get(user, first.id);
      expect(await steps.insert(user, [newStep(user, { id: first.id, title: "other" }), newStep(user)])).toBe(
        1,
      );
      expect(await steps.get(user, first.id)).toEqual(before);
      expect(await steps.insert(user, [])).toBe(0);
    });

    test("2,000 steps go in at once, and come out of their run ordered by id", async () => {
      const { steps } = bench.store;
      const [user, runId] = [unique("user"), unique("run")];
      const many = Array.from({ length: 2_000 }, () => newStep(user, { runId }));
      const shuffled = many.toSorted((a, b) => a.id.slice(-2).localeCompare(b.id.slice(-2)));
      expect(await steps.insert(user, shuffled)).toBe(2_000);
      await insertedStep(bench.store, user, { runId: unique("run") });
      expect((await steps.ofRun(user, runId)).map((step) => step.id)).toEqual(many.map((step) => step.id));
    });

    test("a claim sets owner and lease, raises the fence, and is had once", async () => {
      const { store, clock } = bench;
      const user = unique("user");
      const { id } = await insertedStep(store, user);
      clock.advance(10);
      const step = await store.steps.claim(id, "worker-1", 5_000);
      expect(step).toMatchObject({
        id,
        user,
        state: "running",
        owner: "worker-1",
        fence: 1,
        leaseUntil: new Date(clock.at + 5_000),
        startedAt: new Date(clock.at),
        attempts: 0,
      });
      expect(await store.steps.get(user, id)).toEqual(step);
      expect(await store.steps.claim(id, "worker-2", 5_000)).toBeNull();
    });

    test("a step that is not due yet cannot be claimed, and can be when it is", async () => {
      const { store, clock } = bench;
      const step = await claimedStep(store, unique("user"));
      await store.steps.fail(step.id, step.fence, FAILURE, new Date(clock.at + 1_000));
      clock.advance(999);
      expect(await store.steps.claim(step.id, "worker", 1_000)).toBeNull();
      clock.advance(1);
      expect(await store.steps.claim(step.id, "worker", 1_000)).toMatchObject({ fence: 2 });
    });

    test("a heartbeat extends the lease", async () => {
      const { store, clock } = bench;
      const user = unique("user");
      const step = await claimedStep(store, user);
      clock.advance(4_000);
      expect(await store.steps.heartbeat(step.id, step.fence, 15_000)).toBe(true);
      expect(await store.steps.get(user, step.id)).toEqual({
        ...step,
        leaseUntil: new Date(clock.at + 15_000),
      });
    });

    test("a completed step is done, and its result is named after step and fence", async () => {
      const { store, clock } = bench;
      const [user, runId] = [unique("user"), unique("run")];
      const step = await claimedStep(store, user, { runId });
      clock.advance(500);
      const value = {
        text: "Schnee ☃ 𝔐",
        "a.b": [1, null, 0.5, []],
        $set: { "": true },
        broken: "\ud800",
        big: 2 ** 40,
      };
      expect(await store.steps.complete(step.id, step.fence, { value, reusedAnswers: 3 })).toBe(true);
      const resultId = `${step.id}.f1`;
      expect(await store.steps.get(user, step.id)).toEqual({
        ...step,
        state: "done",
        owner: null,
        leaseUntil: null,
        resultId,
        reusedAnswers: 3,
        endedAt: new Date(clock.at),
      });
      expect(await store.steps.results(user, [step.id])).toEqual([
        { id: resultId, stepId: step.id, runId, value },
      ]);
    });

    test.each([[null], ["text"], [0], [false], [[]], [{}]])(
      "%j is a value that a step can have",
      async (value) => {
        const user = unique("user");
        const step = await claimedStep(bench.store, user);
        await bench.store.steps.complete(step.id, step.fence, { value, reusedAnswers: 0 });
        expect(await bench.store.steps.results(user, [step.id])).toMatchObject([{ value }]);
      },
    );

    test("a result of 3 million characters comes back as it was", async () => {
      const user = unique("user");
      const step = await claimedStep(bench.store, user);
      const text = "Ein Satz mit ü. ".repeat(190_000);
      await bench.store.steps.complete(step.id, step.fence, { value: { text }, reusedAnswers: 0 });
      const [result] = await bench.store.steps.results(user, [step.id]);
      expect(JSON.stringify(result?.value) === JSON.stringify({ text })).toBe(true);
    });

    test("results come in the order asked for, of done steps alone", async () => {
      const { steps } = bench.store;
      const user = unique("user");
      const done: string[] = [];
      for (let at = 0; at < 4; at++) {
        const step = await claimedStep(bench.store, user);
        await steps.complete(step.id, step.fence, { value: at, reusedAnswers: 0 });
        done.push(step.id);
      }
      const running = await claimedStep(bench.store, user);
      const ids = [done[2], running.id, done[0], unique("step"), done[3]].map(String);
      const results = await steps.results(user, ids);
      expect(results.map((result) => result.value)).toEqual([2, 0, 3]);
      expect(await steps.results(user, [])).toEqual([]);
    });

    test("an error is kept and costs an attempt, and the step waits for its time", async () => {
      const { store, clock } = bench;
      const user = unique("user");
      const step = await claimedStep(store, user);
      const retryAt = new Date(clock.at + 7_000);
      expect(await store.steps.fail(step.id, step.fence, FAILURE, retryAt)).toBe(true);
      expect(await store.steps.get(user, step.id)).toMatchObject({
        state: "pending",
        fence: 1,
        owner: null,
        leaseUntil: null,
        attempts: 1,
        crashes: 0,
        handbacks: 0,
        notBefore: retryAt,
        error: FAILURE,
        endedAt: null,
      });
    });

    test("an error without another try ends the step as failed", async () => {
      const { store, clock } = bench;
      const user = unique("user");
      const step = await claimedStep(store, user);
      expect(await store.steps.fail(step.id, step.fence, FAILURE, null)).toBe(true);
      expect(await store.steps.get(user, step.id)).toMatchObject({
        state: "failed",
        attempts: 1,
        error: FAILURE,
        owner: null,
        leaseUntil: null,
        endedAt: new Date(clock.at),
      });
    });

    test("a step that is done after an error shows the error no more", async () => {
      const { store, clock } = bench;
      const user = unique("user");
      const step = await claimedStep(store, user);
      await store.steps.fail(step.id, step.fence, FAILURE, new Date(clock.at));
      const again = await claim(store, step.id);
      await store.steps.complete(again.id, again.fence, { value: 1, reusedAnswers: 0 });
      expect(await store.steps.get(user, step.id)).toMatchObject({ state: "done", error: null, attempts: 1 });
    });

    test("a step that is handed back costs nothing and can be claimed at once", async () => {
      const { store } = bench;
      const user = unique("user");
      const step = await claimedStep(store, user);
      expect(await store.steps.handBack(step.id, step.fence)).toBe(true);
      expect(await store.steps.get(user, step.id)).toMatchObject({
        state: "pending",
        owner: null,
        leaseUntil: null,
        attempts: 0,
        crashes: 0,
        handbacks: 1,
        error: null,
      });
      expect(await store.steps.claim(step.id, "worker", 1_000)).toMatchObject({ fence: 2 });
    });

    test("a step that is postponed costs nothing, says what it waits for, and cannot be claimed before its time", async () => {
      const { store, clock } = bench;
      const user = unique("user");
      const step = await claimedStep(store, user);
      const until = new Date(clock.at + 60_000);
      expect(await store.steps.postpone(step.id, step.fence, WAITS, until)).toBe(true);
      expect(await store.steps.get(user, step.id)).toMatchObject({
        state: "pending",
        owner: null,
        leaseUntil: null,
        attempts: 0,
        crashes: 0,
        handbacks: 0,
        notBefore: until,
        error: null,
        postponed: WAITS,
      });
      expect(await store.steps.claim(step.id, "worker", 1_000)).toBeNull();
      clock.advance(60_000);
      expect(await store.steps.claim(step.id, "worker", 1_000)).toMatchObject({ fence: 2, postponed: null });
    });

    test("a step that is postponed keeps the error of its last attempt", async () => {
      const { store, clock } = bench;
      const user = unique("user");
      const step = await claimedStep(store, user);
      await store.steps.fail(step.id, step.fence, FAILURE, new Date(clock.at));
      const again = await claim(store, step.id);
      await store.steps.postpone(again.id, again.fence, WAITS, new Date(clock.at));
      expect(await claim(store, step.id)).toMatchObject({ error: FAILURE, postponed: null });
    });

    test("a postponed step that is hastened is due at once", async () => {
      const { store, clock } = bench;
      const user = unique("user");
      const step = await claimedStep(store, user);
      await store.steps.postpone(step.id, step.fence, WAITS, new Date(clock.at + 60_000));
      await store.steps.hasten(step.id);
      expect(await store.steps.claim(step.id, "worker", 1_000)).toMatchObject({ fence: 2 });
    });

    test("a step that waits after an error cannot be hastened", async () => {
      const { store, clock } = bench;
      const user = unique("user");
      const step = await claimedStep(store, user);
      await store.steps.fail(step.id, step.fence, FAILURE, new Date(clock.at + 60_000));
      await store.steps.hasten(step.id);
      expect(await store.steps.claim(step.id, "worker", 1_000)).toBeNull();
    });

    test("a step at work is cancelled by who works on it", async () => {
      const { store, clock } = bench;
      const user = unique("user");
      const step = await claimedStep(store, user);
      expect(await store.steps.cancel(step.id, step.fence)).toBe(true);
      expect(await store.steps.get(user, step.id)).toMatchObject({
        state: "cancelled",
        owner: null,
        leaseUntil: null,
        endedAt: new Date(clock.at),
      });
    });

    test.each(LOST)("%s writes nothing on a step that %s", async (write, loss) => {
      const { store } = bench;
      const user = unique("user");
      const { id, fence } = (await LOSSES[loss]?.(store, user)) ?? { id: "", fence: 0 };
      const before = await store.steps.get(user, id);
      const results = await store.steps.results(user, [id]);
      expect(await WRITES[write]?.(store, id, fence)).toBe(false);
      expect(await store.steps.get(user, id)).toEqual(before);
      expect(await store.steps.results(user, [id])).toEqual(results);
    });

    test("the result that is read is the one of the fence that finished, whoever else wrote one", async () => {
      const { store } = bench;
      const user = unique("user");
      const late = await claimedStep(store, user);
      await store.steps.handBack(late.id, late.fence);
      const second = await claim(store, late.id);
      expect(await store.steps.complete(late.id, late.fence, { value: "late", reusedAnswers: 0 })).toBe(
        false,
      );
      expect(await store.steps.results(user, [late.id])).toEqual([]);
      await store.steps.complete(second.id, second.fence, { value: "good", reusedAnswers: 0 });
      await store.steps.complete(late.id, late.fence, { value: "late", reusedAnswers: 0 });
      expect(await store.steps.results(user, [late.id])).toMatchObject([
        { id: `${late.id}.f2`, value: "good" },
      ]);
    });

    test("an outcome handed in once more, as after a lost answer, is accepted and changes nothing", async () => {
      const { store } = bench;
      const user = unique("user");
      const step = await claimedStep(store, user);
      const outcome = { value: { text: "paid for" }, reusedAnswers: 1 };
      expect(await store.steps.complete(step.id, step.fence, outcome)).toBe(true);
      const done = await store.steps.get(user, step.id);
      bench.clock.advance(1_000);
      expect(await store.steps.complete(step.id, step.fence, outcome)).toBe(true);
      expect(await store.steps.get(user, step.id)).toEqual(done);
      expect(await store.steps.complete(step.id, step.fence, { ...outcome, value: "other" })).toBe(false);
      expect(await store.steps.results(user, [step.id])).toMatchObject([{ value: outcome.value }]);
      await store.steps.reset(user, [step.id]);
      expect(await store.steps.complete(step.id, step.fence, outcome)).toBe(false);
    });

    test("all steps of a run that are pending or wait are cancelled, and no others", async () => {
      const { store, clock } = bench;
      const [user, runId] = [unique("user"), unique("run")];
      const pending: NewStep[] = [
        await insertedStep(store, user, { runId }),
        await insertedStep(store, user, { runId }),
      ];
      const retried = await claimedStep(store, user, { runId });
      await store.steps.fail(retried.id, retried.fence, FAILURE, null);
      await store.steps.reset(user, [retried.id]);
      pending.push(retried);
      const running = await claimedStep(store, user, { runId });
      const elsewhere = await insertedStep(store, user, { runId: unique("run") });
      expect(await store.steps.cancelPending(user, runId)).toBe(3);
      expect(await store.steps.cancelPending(user, runId)).toBe(0);
      for (const { id } of pending) {
        expect(await store.steps.get(user, id)).toMatchObject({
          state: "cancelled",
          endedAt: new Date(clock.at),
        });
      }
      expect(await store.steps.get(user, running.id)).toMatchObject({ state: "running" });
      expect(await store.steps.get(user, elsewhere.id)).toMatchObject({ state: "pending" });
    });

    test.each<[StepState]>([["failed"], ["cancelled"], ["done"]])("a %s step starts over", async (state) => {
      const { store, clock } = bench;
      const user = unique("user");
      const first = await claimedStep(store, user);
      await store.dispatch.markDispatched([first.id]);
      await store.steps.handBack(first.id, first.fence);
      const { id, fence } = await claim(store, first.id);
      if (state === "failed") await store.steps.fail(id, fence, FAILURE, null);
      if (state === "cancelled") await store.steps.cancel(id, fence);
      if (state === "done") await store.steps.complete(id, fence, { value: "old", reusedAnswers: 2 });
      clock.advance(60_000);
      expect(await store.steps.reset(user, [id])).toBe(1);
      expect(await store.steps.get(user, id)).toMatchObject({
        state: "waiting",
        fence: 2,
        attempts: 0,
        crashes: 0,
        handbacks: 0,
        reusedAnswers: 0,
        notBefore: new Date(clock.at),
        dispatchedAt: null,
        error: null,
        resultId: null,
        startedAt: null,
        endedAt: null,
      });
      expect(await store.steps.results(user, [id])).toEqual([]);
      expect(await store.steps.claim(id, "worker", 1_000)).toBeNull();
      expect(await store.steps.insert(user, [first, newStep(user)])).toBe(2);
      const again = await claim(store, id);
      expect(again.fence).toBe(3);
      await store.steps.complete(id, again.fence, { value: "new", reusedAnswers: 0 });
      expect(await store.steps.results(user, [id])).toMatchObject([{ id: `${id}.f3`, value: "new" }]);
    });

    test("a reset of what is pending, at work or not there changes nothing", async () => {
      const { steps } = bench.store;
      const user = unique("user");
      const pending = await insertedStep(bench.store, user);
      const running = await claimedStep(bench.store, user);
      expect(await steps.reset(user, [pending.id, running.id, unique("step")])).toBe(0);
      expect(await steps.reset(user, [])).toBe(0);
      expect(await steps.get(user, running.id)).toEqual(running);
    });

    test("nothing of a step can be seen or changed by another user", async () => {
      const { steps } = bench.store;
      const [user, other, runId] = [unique("user"), unique("user"), unique("run")];
      const pending = await insertedStep(bench.store, user, { runId });
      const done = await claimedStep(bench.store, user, { runId });
      await steps.complete(done.id, done.fence, { value: 1, reusedAnswers: 0 });
      const before = await steps.ofRun(user, runId);
      expect(await steps.get(other, pending.id)).toBeNull();
      expect(await steps.ofRun(other, runId)).toEqual([]);
      expect(await steps.results(other, [done.id])).toEqual([]);
      expect(await steps.cancelPending(other, runId)).toBe(0);
      expect(await steps.reset(other, [done.id])).toBe(0);
      expect(await steps.insert(other, [newStep(other, { id: pending.id, runId, title: "forged" })])).toBe(0);
      expect(await steps.ofRun(user, runId)).toEqual(before);
    });

    test("odd ids are of no step", async () => {
      const { steps } = bench.store;
      for (const id of ODD_IDS) {
        expect(await steps.get(id, id)).toBeNull();
        expect(await steps.claim(id, id, 1_000)).toBeNull();
        expect(await steps.heartbeat(id, 1, 1_000)).toBe(false);
        expect(await steps.complete(id, 1, OUTCOME)).toBe(false);
      }
      expect(await steps.results("user", ODD_IDS)).toEqual([]);
      expect(await steps.reset("user", ODD_IDS)).toBe(0);
    });
  });
}
