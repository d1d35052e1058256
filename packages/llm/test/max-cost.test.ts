import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { type FakeOpenAi, startFakeOpenAi } from "@mythic/testing/fake-openai";
import { waitFor } from "@mythic/testing/wait";
import { askerWith, askPatiently, failureOf, question } from "./asking.ts";
import { MemoryLedger } from "./memory-ledger.ts";
import { modelWith as openModel } from "./model-with.ts";

let fake: FakeOpenAi;
let ledger: MemoryLedger;
beforeEach(async () => {
  fake = await startFakeOpenAi();
  ledger = new MemoryLedger();
});
afterEach(() => fake.close());

function modelWith() {
  const { baseUrl } = fake;
  return openModel({ baseUrl, timeoutMs: 5000, ledger });
}

describe("a limit of cost", () => {
  test("lets nothing be sent that could pass it, and costs nothing itself", async () => {
    const error = await failureOf(
      modelWith()
        .conversation(askerWith({ maxCost: 1000 }))
        .ask(question),
    );
    expect(error).toMatchObject({ code: "max_cost_reached", retryable: false });
    expect(fake.calls()).toEqual([]);
    expect(ledger.rows.size).toBe(0);
  });

  test("refuses a model whose price is not known", async () => {
    const asker = askerWith({ model: "own-model", maxCost: 1e12 });
    const error = await failureOf(modelWith().conversation(asker).ask(question));
    expect(error.code).toBe("max_cost_reached");
    expect(fake.calls()).toEqual([]);
  });

  test("is never passed by many calls at once", async () => {
    fake.script({ latencyMs: 5 });
    const model = modelWith();
    const maxCost = 4_000_000;
    const seen: number[] = [];
    const ask = async (index: number): Promise<void> => {
      const asker = askerWith({ stepId: `run1.summary.c${index}`, maxCost });
      await askPatiently(model, asker, { ...question, input: `${question.input} ${index}` }).catch(
        (error: unknown) => expect(error).toMatchObject({ code: "max_cost_reached" }),
      );
      seen.push((await ledger.spent("ada", "run1")).cost ?? Number.POSITIVE_INFINITY);
    };
    for (let round = 0; round < 12; round += 1) {
      await Promise.all([0, 1, 2].map((place) => ask(round * 3 + place)));
    }
    const paid = [...ledger.rows.values()].reduce((sum, row) => sum + (row.cost ?? 0), 0);
    expect(paid).toBeLessThanOrEqual(maxCost);
    expect(fake.calls().length).toBeGreaterThan(2);
    expect(seen.at(-1)).toBe(paid);
  });
});

describe("eight calls at once of a run with a limit of cost", () => {
  /** More than what a call costs in the end, as most do. */
  const MOST = 1_050_500;
  const askEight = async (maxCost: number, signal = new AbortController().signal) => {
    const model = modelWith();
    return await Promise.allSettled(
      Array.from({ length: 8 }, (_, index) =>
        askPatiently(model, askerWith({ stepId: `run1.summary.c${index}`, maxCost, signal }), {
          ...question,
          input: `${question.input} ${index}`,
        }),
      ),
    );
  };
  const paid = () => [...ledger.rows.values()].reduce((sum, row) => sum + (row.cost ?? 0), 0);

  test("are all answered when there is room for them one after the other", async () => {
    fake.script({ latencyMs: 100 });
    const held: number[] = [];
    const open = ledger.open.bind(ledger);
    ledger.open = async (user, row) => {
      await open(user, row);
      held.push((await ledger.spent(user, row.runId ?? "")).cost ?? Number.POSITIVE_INFINITY);
    };
    const outcomes = await askEight(3.5 * MOST);
    expect(outcomes.map(({ status }) => status)).toEqual(Array.from({ length: 8 }, () => "fulfilled"));
    expect(Math.max(...held)).toBeLessThanOrEqual(3.5 * MOST);
    expect(Math.max(...held)).toBeGreaterThan(2.9 * MOST);
    expect(ledger.rows.size).toBe(8);
  });

  test("are refused once those that were sent leave no room, and none before", async () => {
    fake.script({ latencyMs: 5 });
    const maxCost = Math.round(1.2 * MOST);
    const outcomes = await askEight(maxCost);
    const sent = fake.calls().length;
    expect(sent).toBeGreaterThan(0);
    expect(sent).toBeLessThan(8);
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(sent);
    expect(paid()).toBeLessThanOrEqual(maxCost);
    expect(paid() + MOST).toBeGreaterThan(maxCost);
    expect([...ledger.rows.values()].filter(({ state }) => state === "sent")).toEqual([]);
  });

  test("that wait for room stop waiting when they are stopped", async () => {
    fake.script({ does: { kind: "hang" } });
    const controller = new AbortController();
    const asking = askEight(1.5 * MOST, controller.signal);
    await waitFor(() => fake.calls()[0]?.outcome === "open");
    controller.abort();
    for (const outcome of await asking) {
      expect(outcome).toMatchObject({ status: "rejected", reason: { code: "model_aborted" } });
    }
    expect(ledger.rows.size).toBe(1);
  });
});
