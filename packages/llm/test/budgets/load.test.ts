import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { type FakeOpenAi, type RecordedCall, startFakeOpenAi } from "@mythic/testing/fake-openai";
import { startProcess, type TestProcess } from "@mythic/testing/process";
import { redisUrl } from "@mythic/testing/redis";
import { waitFor } from "@mythic/testing/wait";

const PERIOD_MS = 2_000;
const SECONDS = 7;
const WORKERS = 4;
/** From the answer of one process to the next call of another: an answer over HTTP, a script and a push, on a busy machine. */
const HOP_MS = 1_500;
const PAUSE_MS = 3_000;

let fake: FakeOpenAi;
/** When the fake refused a call, in the milliseconds of its calls. */
let refusals: number[];
let refusesNext: boolean;
let stack: AsyncDisposableStack;
beforeEach(async () => {
  stack = new AsyncDisposableStack();
  fake = stack.use(await startFakeOpenAi({ latencyMs: 150 }));
  refusals = [];
  refusesNext = false;
  fake.script({
    ...{
      latencyMs: 0,
      does: { kind: "status", status: 429, headers: { "retry-after-ms": String(PAUSE_MS) } },
    },
    match: () => {
      if (!refusesNext) return false;
      refusesNext = false;
      return refusals.push(performance.now()) > 0;
    },
  });
  fake.script({
    does: { kind: "answer", content: ({ prompt }) => "a".repeat(500 + (prompt.length % 3_000)) },
  });
});
afterEach(() => stack.disposeAsync());

async function startWorkers(args: Readonly<Record<string, string | number>>): Promise<TestProcess[]> {
  const url = await redisUrl();
  const namespace = `test-${randomUUID()}`;
  const file = join(import.meta.dirname, "asking-worker.ts");
  const common = { redis: url, upstream: fake.baseUrl, namespace, period: PERIOD_MS, loops: 12, ...args };
  return await Promise.all(
    Array.from({ length: WORKERS }, async (_, index) => {
      const all = Object.entries({ ...common, seed: 1000 + 77 * index });
      const flat = all.flatMap(([name, value]) => [`--${name}`, String(value)]);
      return stack.use(await startProcess(file, { args: flat, ready: /^ready$/ }));
    }),
  );
}

/** The most in any window of the period, and the mean, as parts of the limit. */
function useOf(calls: readonly RecordedCall[], limit: number, amount: (call: RecordedCall) => number) {
  const first = calls[0]?.arrivedAt ?? 0;
  const last = calls.at(-1)?.arrivedAt ?? 0;
  const total = calls.reduce((sum, call) => sum + amount(call), 0);
  let worst = 0;
  let inWindow = 0;
  let oldest = 0;
  for (const call of calls) {
    inWindow += amount(call);
    for (let old = calls[oldest]; old && call.arrivedAt - old.arrivedAt >= PERIOD_MS; old = calls[oldest]) {
      inWindow -= amount(old);
      oldest += 1;
    }
    worst = Math.max(worst, inWindow);
  }
  return { worst: worst / limit, mean: total / ((limit * (last - first)) / PERIOD_MS) };
}

test("four processes use most of a limit of tokens, and no window has twice as much", async () => {
  const tpm = 40_000;
  const workers = await startWorkers({ tpm, seconds: SECONDS });
  await Promise.all(workers.map((worker) => worker.ended(25_000)));
  const use = useOf(fake.calls(), tpm, ({ tokens }) => tokens);
  // How near they come to it is measured by the row `makespan` of the benchmarks. Each for itself, they would use four times as much.
  expect(use.worst).toBeLessThan(2);
  expect(use.mean).toBeGreaterThan(0.5);
});

test("a 429 to one process stops all of them within a hop, for as long as it says", async () => {
  const workers = await startWorkers({ seconds: 60 });
  for (let round = 1; round <= 2; round += 1) {
    const before = fake.calls().length;
    await waitFor(() => fake.calls().length > before + 20, { what: "calls" });
    refusesNext = true;
    await waitFor(() => refusals.length === round, { what: "a refusal", everyMs: 2 });
    const end = (refusals.at(-1) ?? 0) + PAUSE_MS;
    await waitFor(() => performance.now() > end, { what: "the end of the cool-down" });
  }
  await Promise.all(workers.map((worker) => worker[Symbol.asyncDispose]()));
  const during = fake
    .calls()
    .filter(({ arrivedAt }) => refusals.some((at) => arrivedAt > at + HOP_MS && arrivedAt < at + PAUSE_MS));
  expect(refusals).toHaveLength(2);
  expect(during).toEqual([]);
});

test("limits that nobody configured are found with few refusals", async () => {
  fake.limit({ requests: 40, windowMs: PERIOD_MS });
  const workers = await startWorkers({ seconds: SECONDS });
  await Promise.all(workers.map((worker) => worker.ended(25_000)));
  const calls = fake.calls();
  const refused = calls.filter(({ outcome }) => outcome === "limited").length;
  const taken = calls.filter(({ outcome }) => outcome !== "limited");
  const use = useOf(taken, 40, () => 1);
  // Who does not look for them is refused most of the time.
  expect(use.mean).toBeGreaterThan(0.4);
  expect(refused).toBeLessThan(calls.length * 0.25);
});
