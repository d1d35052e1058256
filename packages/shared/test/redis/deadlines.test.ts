import { afterEach, beforeEach, describe, expect, jest, test } from "@jest/globals";
import { Deadlines } from "../../src/redis/deadlines.ts";

const TIMEOUT_MS = 80;

const make = () => new Deadlines(TIMEOUT_MS, () => new Error("late"));

function waitIn(deadlines: Deadlines) {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const { round } = deadlines;
  const place = round.enter(reject);
  const answer = () => {
    const isInTime = deadlines.leave(round, place);
    if (isInTime) resolve("answered");
    return isInTime;
  };
  let outcome = "waits";
  const ended = promise.then(
    (answered) => {
      outcome = answered;
    },
    (error: Error) => {
      outcome = error.message;
    },
  );
  return { answer, ended, outcome: () => outcome };
}

describe("by a driven clock", () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  test("who waits is turned away in the last eighth of the time-out, whenever it began, and who was answered is not", async () => {
    const deadlines = make();
    const first = waitIn(deadlines);
    const second = waitIn(deadlines);
    await jest.advanceTimersByTimeAsync(TIMEOUT_MS / 2 - 1);
    const third = waitIn(deadlines);
    expect(second.answer()).toBe(true);
    await jest.advanceTimersByTimeAsync(TIMEOUT_MS / 2 - 9);
    expect([first, second, third].map(({ outcome }) => outcome())).toEqual(["waits", "answered", "waits"]);
    await jest.advanceTimersByTimeAsync(10);
    expect([first, second, third].map(({ outcome }) => outcome())).toEqual(["late", "answered", "waits"]);
    await jest.advanceTimersByTimeAsync(TIMEOUT_MS / 2);
    expect(third.outcome()).toBe("late");
  });

  test("an answer that comes after the deadline is told so", async () => {
    const one = waitIn(make());
    await jest.advanceTimersByTimeAsync(TIMEOUT_MS);
    expect(one.answer()).toBe(false);
    expect(one.outcome()).toBe("late");
  });

  test("no timer runs while nobody waits, and deadlines are kept again after that", async () => {
    const deadlines = make();
    const [one, other] = [waitIn(deadlines), waitIn(deadlines)];
    one.answer();
    expect(jest.getTimerCount()).toBe(1);
    other.answer();
    expect(jest.getTimerCount()).toBe(0);
    const later = waitIn(deadlines);
    await jest.advanceTimersByTimeAsync(TIMEOUT_MS / 2);
    expect(later.outcome()).toBe("waits");
    await jest.advanceTimersByTimeAsync(TIMEOUT_MS / 2);
    expect(later.outcome()).toBe("late");
  });
});

test("nobody is turned away because the event loop stood still", async () => {
  const early = waitIn(make());
  const end = performance.now() + TIMEOUT_MS * 3;
  while (performance.now() < end);
  const { port1, port2 } = new MessageChannel();
  port2.on("message", () => early.answer());
  port1.postMessage("answer");
  await early.ended;
  expect(early.outcome()).toBe("answered");
  port1.close();
});
