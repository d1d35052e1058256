import { expect, test } from "@jest/globals";
import { waitFor } from "../src/wait.ts";

test("waiting ends with the first value that is there, zero and the empty string included", async () => {
  const values = [null, undefined, false, 0];
  expect(await waitFor(() => values.shift(), { everyMs: 1 })).toBe(0);
  expect(await waitFor(() => "")).toBe("");
});

test("a condition that throws is asked again", async () => {
  let asked = 0;
  const value = await waitFor(
    () => {
      asked += 1;
      if (asked < 3) throw new Error("not yet");
      return asked;
    },
    { everyMs: 1 },
  );
  expect(value).toBe(3);
});

test("waiting in vain says what for, and what went wrong last", async () => {
  const waiting = waitFor(() => Promise.reject(new Error("no door")), { timeoutMs: 20, what: "the door" });
  await expect(waiting).rejects.toMatchObject({
    message: "Waited 20 ms in vain for the door.",
    cause: { message: "no door" },
  });
});
