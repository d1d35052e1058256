import { setTimeout as pause } from "node:timers/promises";

export interface WaitOptions {
  /** How long to go on asking, in milliseconds. 10 s unless told. */
  readonly timeoutMs?: number;
  /** Between two attempts, in milliseconds. 20 unless told. */
  readonly everyMs?: number;
  /** What is waited for, for the error message: `the run to end`. */
  readonly what?: string;
}

/**
 * Asks again and again until the condition gives something other than false, null or undefined, and resolves with that.
 * A condition that throws is asked again too; its last error is the cause of the time-out's error.
 */
export async function waitFor<Value>(
  condition: () => Value | Promise<Value>,
  options: WaitOptions = {},
): Promise<Exclude<Value, false | null | undefined>> {
  const { timeoutMs = 10_000, everyMs = 20, what = "the condition" } = options;
  const deadline = performance.now() + timeoutMs;
  let cause: unknown;
  for (;;) {
    try {
      const value = await condition();
      if (isThere(value)) return value;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (performance.now() >= deadline) {
      throw new Error(`Waited ${timeoutMs} ms in vain for ${what}.`, { cause });
    }
    await pause(everyMs);
  }
}

function isThere<Value>(value: Value): value is Exclude<Value, false | null | undefined> {
  return value !== false && value !== null && value !== undefined;
}
