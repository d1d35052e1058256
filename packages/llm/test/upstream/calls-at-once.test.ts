import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { type FakeOpenAi, startFakeOpenAi } from "@mythic/testing/fake-openai";
import { waitFor } from "@mythic/testing/wait";
import { CallSlots } from "../../src/upstream/call-slots.ts";
import { askerWith, failureOf, question } from "../asking.ts";
import { MemoryLedger } from "../memory-ledger.ts";
import { modelWith } from "../model-with.ts";

const never = new AbortController().signal;

describe("with one slot", () => {
  let slots: CallSlots;
  beforeEach(() => {
    slots = new CallSlots(1);
  });

  /** Asks for a slot and notes the name when it is given. */
  function queue(name: string, taken: string[], isGoingOn = false, signal = never) {
    return slots.take(signal, isGoingOn).then((leave) => {
      taken.push(name);
      return leave;
    });
  }

  test("whoever comes first is served first", async () => {
    const taken: string[] = [];
    const leave = await queue("a", taken);
    const b = queue("b", taken);
    const c = queue("c", taken);
    leave();
    (await b)();
    await c;
    expect(taken).toEqual(["a", "b", "c"]);
  });

  test("a step that goes on comes before those who would begin", async () => {
    const taken: string[] = [];
    const leave = await queue("a", taken);
    const newcomer = queue("newcomer", taken);
    const second = queue("second call of a", taken, true);
    leave();
    (await second)();
    await newcomer;
    expect(taken).toEqual(["a", "second call of a", "newcomer"]);
  });

  test("a slot is never handed to someone who has left the line", async () => {
    const leave = await slots.take(never, false);
    const gone = new AbortController();
    const left = slots.take(gone.signal, false);
    const next = slots.take(never, false);
    gone.abort(new Error("enough"));
    leave();
    await expect(left).rejects.toThrow("enough");
    await expect(next).resolves.toBeInstanceOf(Function);
  });

  test("a slot given back twice is there once", async () => {
    const leave = await slots.take(never, false);
    leave();
    leave();
    await slots.take(never, false);
    const gone = new AbortController();
    const second = slots.take(gone.signal, false);
    gone.abort(new Error("still taken"));
    await expect(second).rejects.toThrow("still taken");
  });
});

describe("a model with a limit of calls at once", () => {
  let fake: FakeOpenAi;
  let ledger: MemoryLedger;
  beforeEach(async () => {
    fake = await startFakeOpenAi();
    ledger = new MemoryLedger();
  });
  afterEach(() => fake.close());

  const model = () => modelWith({ baseUrl: fake.baseUrl, ledger, callsAtOnce: 1 });

  const about = (what: string) => ({ ...question, input: `${question.input} ${what}` });
  const stepsAsked = () => [...ledger.rows.values()].map((row) => row.stepId);

  test("keeps the next call, and its row in the ledger, until the one before was answered", async () => {
    fake.script({ times: 1, does: { kind: "hang" } });
    const stop = new AbortController();
    const asked = model();
    const first = asked.conversation(askerWith({ stepId: "one", signal: stop.signal })).ask(about("one"));
    await waitFor(() => fake.calls().length === 1, { what: "the first call" });
    const second = asked.conversation(askerWith({ stepId: "two" })).ask(about("two"));
    // A third asker that leaves the line shows that the second has come as far as it can.
    const third = new AbortController();
    const leaving = asked
      .conversation(askerWith({ stepId: "three", signal: third.signal }))
      .ask(about("three"));
    third.abort();
    expect((await failureOf(leaving)).code).toBe("model_aborted");
    expect(stepsAsked()).toEqual(["one"]);
    stop.abort();
    expect((await failureOf(first)).code).toBe("model_aborted");
    await second;
    expect(fake.calls()).toHaveLength(2);
    expect(stepsAsked()).toEqual(["one", "two"]);
  });

  test("gives the slot back when the ledger cannot be written", async () => {
    ledger.failingOpenings = 1;
    const asked = model();
    await expect(asked.conversation(askerWith({ stepId: "one" })).ask(question)).rejects.toThrow();
    await asked.conversation(askerWith({ stepId: "two" })).ask(question);
    expect(fake.calls()).toHaveLength(1);
  });
});
