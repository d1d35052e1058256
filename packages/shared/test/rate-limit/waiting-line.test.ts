import { expect, test } from "@jest/globals";
import { type Attempt, WaitingLine } from "../../src/rate-limit/waiting-line.ts";

const HOUR = 3_600_000;
const open = () => new WaitingLine(() => performance.now());
const passed: Attempt<string> = { outcome: "passed" };
const refused = (key: string, waitMs = HOUR): Attempt<string> => ({ refusedBy: [key], waitMs });

test("word of more that comes in the middle of an attempt is not lost", async () => {
  const line = open();
  let attempts = 0;
  const attempt = async () => {
    attempts += 1;
    if (attempts > 1) return passed;
    line.nudge("key");
    return refused("key");
  };
  expect(await line.wait({ keys: ["key"], signal: undefined, attempt })).toBe("passed");
  expect(attempts).toBe(2);
});

test("who is refused tries again when the time is over", async () => {
  let attempts = 0;
  const attempt = async () => {
    attempts += 1;
    return attempts > 1 ? passed : refused("key", 30);
  };
  const before = performance.now();
  await open().wait({ keys: ["key"], signal: undefined, attempt });
  expect(performance.now() - before).toBeGreaterThanOrEqual(29);
  expect(attempts).toBe(2);
});

test("nobody tries before who came earlier and needs the same, and who needs something else does", async () => {
  const line = open();
  const order: string[] = [];
  let isFree = false;
  const enter = (name: string, keys: readonly string[]) =>
    line.wait({
      keys,
      signal: undefined,
      attempt: async () => {
        if (!isFree && keys.includes("held")) return refused("held");
        order.push(name);
        return passed;
      },
    });
  const first = enter("first", ["held"]);
  const second = enter("second", ["held", "free"]);
  const third = enter("third", ["held"]);
  await enter("other", ["free"]);
  expect(order).toEqual(["other"]);
  isFree = true;
  line.nudge("held");
  await Promise.all([first, second, third]);
  expect(order).toEqual(["other", "first", "second", "third"]);
});

test("who was told to wait longer than before has been overtaken, and who was not has not", async () => {
  const line = open();
  const overtaken: boolean[] = [];
  const waits = [1_000, 950, 5_000, 4_000];
  const attempt = async (isOvertaken: boolean): Promise<Attempt<string>> => {
    overtaken.push(isOvertaken);
    const waitMs = waits.shift();
    line.nudge("key");
    return waitMs === undefined ? passed : refused("key", waitMs);
  };
  await line.wait({ keys: ["key"], signal: undefined, attempt });
  expect(overtaken).toEqual([false, false, false, true, true]);
});

test("who gives up leaves the line to the next one", async () => {
  const line = open();
  const abort = new AbortController();
  let isFree = false;
  const wait = (signal?: AbortSignal) =>
    line.wait({ keys: ["key"], signal, attempt: async () => (isFree ? passed : refused("key")) });
  const first = wait(abort.signal);
  const second = wait();
  isFree = true;
  abort.abort(new Error("enough"));
  await expect(first).rejects.toThrow("enough");
  expect(await second).toBe("passed");
});
