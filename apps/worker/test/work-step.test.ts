import { once } from "node:events";
import { setImmediate as turn } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { ModelError } from "@mythic/llm";
import { StoreUnavailableError } from "@mythic/runs";
import { waitFor } from "@mythic/testing/wait";
import { StepError } from "../src/step-error.ts";
import type { StepContext } from "../src/work-step.ts";
import { type Stage, setStage, USER } from "./step-stage.ts";

let stage: Stage;

beforeEach(async () => {
  stage = await setStage();
});

afterEach(async () => {
  await stage[Symbol.asyncDispose]();
});

const made = async () => ({ value: { made: true }, reusedAnswers: 2 });

/** Works until its signal comes, and says when it began. */
function endless() {
  const begun = Promise.withResolvers<StepContext>();
  const execute = async (context: StepContext) => {
    begun.resolve(context);
    await once(context.signal, "abort");
    context.signal.throwIfAborted();
    return made();
  };
  return { execute, begun: begun.promise };
}

describe("work on a step", () => {
  test("stores the result and ends as done", async () => {
    const { id } = await stage.addStep("one");
    expect(await stage.worker(made).work(id)).toMatchObject({ state: "done" });
    expect(await stage.step(id)).toMatchObject({ state: "done", fence: 1, attempts: 0, reusedAnswers: 2 });
    const [result] = await stage.store.steps.results(USER, [id]);
    expect(result?.value).toEqual({ made: true });
  });

  test("skips what another worker has claimed", async () => {
    const { id } = await stage.addStep("one");
    const { execute, begun } = endless();
    const first = stage.worker(execute);
    const working = first.work(id);
    await begun;
    expect(await stage.worker(made).work(id)).toMatchObject({ state: "skipped" });
    first.interrupt("draining");
    await working;
  });

  test("retries an error that a retry may mend, not before a while, and counts it", async () => {
    const { id } = await stage.addStep("one");
    const fail = async () => {
      throw new StepError("model_unavailable", "The model is away.", true);
    };
    const before = Date.now();
    expect(await stage.worker(fail, { retryBaseMs: 60_000 }).work(id)).toMatchObject({ state: "failed" });
    const step = await stage.step(id);
    expect(step).toMatchObject({ state: "pending", attempts: 1, crashes: 0 });
    expect(step.error).toEqual({ code: "model_unavailable", detail: "The model is away." });
    expect(step.notBefore.getTime()).toBeGreaterThanOrEqual(before);
  });

  test("waits as long as the one who refused said", async () => {
    const { id } = await stage.addStep("one");
    const refuse = async () => {
      throw Object.assign(new StepError("model_rate_limited", "Too many.", true), {
        retryAfterMs: 3_600_000,
      });
    };
    await stage.worker(refuse).work(id);
    expect((await stage.step(id)).notBefore.getTime()).toBeGreaterThan(Date.now() + 3_500_000);
    expect(await stage.worker(made).work(id)).toMatchObject({ state: "skipped" });
    stage.advanceClock(3_600_001);
    expect(await stage.worker(made).work(id)).toMatchObject({ state: "done" });
  });

  test("is put off for a day at most, whatever the one who refused said", async () => {
    const { id } = await stage.addStep("one");
    const refuse = async () => {
      throw Object.assign(new StepError("model_rate_limited", "Too many.", true), { retryAfterMs: 1e18 });
    };
    await stage.worker(refuse).work(id);
    const step = await stage.step(id);
    expect(step).toMatchObject({ state: "pending", attempts: 1 });
    expect(step.notBefore.getTime()).toBeLessThanOrEqual(Date.now() + 24 * 3_600_000);
  });

  test("is put off at no cost, with the reason, while what it needs is not there", async () => {
    const { id } = await stage.addStep("one");
    const wait = async () => {
      throw new ModelError("model_busy", "The model takes no more calls this minute.", {
        retryAfterMs: 40_000,
      });
    };
    const worker = stage.worker(wait);
    for (let time = 1; time <= 6; time++) {
      expect(await worker.work(id)).toMatchObject({ state: "postponed" });
      const step = await stage.step(id);
      expect(step).toMatchObject({ state: "pending", attempts: 0, crashes: 0, handbacks: 0, error: null });
      expect(step.postponed).toMatchObject({ code: "model_busy" });
      expect(step.notBefore.getTime()).toBeGreaterThan(Date.now() + 30_000);
      stage.advanceClock(60_000);
    }
    expect(await stage.worker(made).work(id)).toMatchObject({ state: "done" });
  });

  test("that was put off is due as soon as what it waits for is there", async () => {
    const { id } = await stage.addStep("one");
    const { promise: isThere, resolve: arrive } = Promise.withResolvers<void>();
    const wait = async () => {
      throw new ModelError("answer_in_flight", "Someone asks the same.", {
        retryAfterMs: 3_600_000,
        sooner: () => isThere,
      });
    };
    await stage.worker(wait).work(id);
    expect(await stage.worker(made).work(id)).toMatchObject({ state: "skipped" });
    arrive();
    await waitFor(async () => (await stage.step(id)).notBefore.getTime() <= Date.now());
    expect(await stage.worker(made).work(id)).toMatchObject({ state: "done" });
  });

  test("ends as failed at the fifth error", async () => {
    const { id } = await stage.addStep("one");
    const worker = stage.worker(async () => {
      throw new StepError("model_unavailable", "The model is away.", true);
    });
    for (let attempt = 1; attempt <= 5; attempt++) {
      expect((await stage.step(id)).state).toBe("pending");
      await worker.work(id);
      stage.advanceClock(120_000);
    }
    expect(await stage.step(id)).toMatchObject({ state: "failed", attempts: 5 });
  });

  test("ends as failed at once when no retry can mend it", async () => {
    const { id } = await stage.addStep("one");
    const refuse = async () => {
      throw new StepError("max_cost_reached", "The run may spend no more.", false);
    };
    await stage.worker(refuse).work(id);
    expect(await stage.step(id)).toMatchObject({ state: "failed", error: { code: "max_cost_reached" } });
  });

  test("shows nothing of an unexpected error's words", async () => {
    const { id } = await stage.addStep("one");
    const outcome = await stage
      .worker(async () => {
        throw new Error("secret /root/path");
      })
      .work(id);
    const step = await stage.step(id);
    expect(step.error?.code).toBe("internal_error");
    expect(JSON.stringify([outcome, step])).not.toContain("secret");
  });

  test("is handed back at no cost when the worker stops", async () => {
    const { id } = await stage.addStep("one");
    const { execute, begun } = endless();
    const worker = stage.worker(execute);
    const working = worker.work(id);
    await begun;
    worker.interrupt("draining");
    expect(await working).toMatchObject({ state: "skipped" });
    expect(await stage.step(id)).toMatchObject({
      state: "pending",
      attempts: 0,
      crashes: 0,
      handbacks: 1,
      error: null,
    });
    expect(await stage.worker(made).work(id)).toMatchObject({ state: "done" });
  });

  test("is handed back when the worker stops while it is being claimed", async () => {
    const { id } = await stage.addStep("one");
    const { promise: claiming, resolve: claim } = Promise.withResolvers<void>();
    stage.interfere("claim", () => claiming);
    let begun = false;
    const worker = stage.worker(() => {
      begun = true;
      return made();
    });
    const working = worker.work(id);
    worker.interrupt("draining");
    claim();
    expect(await working).toMatchObject({ state: "skipped" });
    expect(begun).toBe(false);
    expect(await stage.step(id)).toMatchObject({ state: "pending", attempts: 0, handbacks: 1 });
  });

  test("is handed back when the worker stops while the store is away for a moment", async () => {
    const { id } = await stage.addStep("one");
    const { execute, begun } = endless();
    const worker = stage.worker(execute);
    const working = worker.work(id);
    await begun;
    let away = 1;
    stage.interfere("handBack", async () => {
      if (away-- > 0) throw new StoreUnavailableError("Away.");
    });
    worker.interrupt("draining");
    await working;
    expect(await stage.step(id)).toMatchObject({ state: "pending", handbacks: 1 });
  });

  test("that fails after it was taken over is not shown as a failure of the one who has it", async () => {
    const { id } = await stage.addStep("one");
    const working = stage
      .worker(async () => {
        stage.advanceClock(60_000);
        await stage.store.dispatch.expireLeases(3);
        await stage.store.steps.claim(id, "other", 60_000);
        throw new StepError("model_unavailable", "The model is away.", true);
      })
      .work(id);
    expect(await working).toMatchObject({ state: "skipped" });
    expect(await stage.step(id)).toMatchObject({ state: "running", owner: "other", attempts: 0 });
  });

  test("is aborted and cancelled when its run is cancelled", async () => {
    const { id } = await stage.addStep("one");
    const { execute, begun } = endless();
    const working = stage.worker(execute).work(id);
    await begun;
    await stage.store.runs.update(USER, stage.run.id, 1, { status: "cancelling" });
    expect(await working).toMatchObject({ state: "skipped" });
    expect((await stage.step(id)).state).toBe("cancelled");
  });

  test("is not begun when its run is being cancelled", async () => {
    const { id } = await stage.addStep("one");
    await stage.store.runs.update(USER, stage.run.id, 1, { status: "cancelling" });
    let begun = false;
    await stage
      .worker(() => {
        begun = true;
        return made();
      })
      .work(id);
    expect(begun).toBe(false);
    expect((await stage.step(id)).state).toBe("cancelled");
  });

  test("goes no further than a later call once its run is cancelled", async () => {
    const { id } = await stage.addStep("one");
    let called = false;
    const begun = performance.now();
    await stage
      .worker(async ({ assertWanted }) => {
        await stage.store.runs.update(USER, stage.run.id, 1, { status: "cancelling" });
        for (;;) {
          await assertWanted();
          called = performance.now() > begun + 5_000;
          if (called) return made();
          await turn();
        }
      })
      .work(id);
    expect(called).toBe(false);
    expect((await stage.step(id)).state).toBe("cancelled");
  });

  test("keeps its lease while it works", async () => {
    const { id } = await stage.addStep("one");
    const { execute, begun } = endless();
    const worker = stage.worker(execute, { leaseMs: 3_000 });
    const working = worker.work(id);
    const { step } = await begun;
    const first = step.leaseUntil?.getTime() ?? 0;
    await waitFor(async () => ((await stage.step(id)).leaseUntil?.getTime() ?? 0) > first + 200);
    expect(await stage.store.dispatch.expireLeases(3)).toEqual([]);
    worker.interrupt("draining");
    await working;
  });

  test("is aborted when someone else has taken it over, and writes nothing", async () => {
    const { id } = await stage.addStep("one");
    const { execute, begun } = endless();
    const working = stage.worker(execute, { leaseMs: 1_200 }).work(id);
    await begun;
    // It may renew its lease at any moment, also between the two.
    const again = await waitFor(async () => {
      stage.advanceClock(1_201);
      await stage.store.dispatch.expireLeases(3);
      return await stage.store.steps.claim(id, "other", 60_000);
    });
    expect(again.fence).toBe(2);
    expect(await working).toMatchObject({ state: "skipped" });
    expect(await stage.step(id)).toMatchObject({ state: "running", owner: "other", fence: 2, crashes: 1 });
  });

  test("that ends after it was taken over leaves no result to be read", async () => {
    const { id } = await stage.addStep("one");
    const finish = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const working = stage
      .worker(async () => {
        begun.resolve();
        await finish.promise;
        return { value: "late", reusedAnswers: 0 };
      })
      .work(id);
    await begun.promise;
    stage.advanceClock(60_000);
    await stage.store.dispatch.expireLeases(3);
    expect(await stage.worker(async () => ({ value: "mine", reusedAnswers: 0 })).work(id)).toMatchObject({
      state: "done",
    });
    finish.resolve();
    expect(await working).toMatchObject({ state: "skipped" });
    const [result] = await stage.store.steps.results(USER, [id]);
    expect(result?.value).toBe("mine");
  });
});
