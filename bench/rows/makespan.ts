import { type FakeOpenAi, type RecordedCall, startFakeOpenAi } from "@mythic/testing/fake-openai";
import { startRedis } from "@mythic/testing/redis";
import type { Bench } from "../bench.ts";
import { makeDataDir } from "../measuring/api.ts";
import { BookWorkers } from "../measuring/book-workers.ts";
import { differentQuestions, libraryOf } from "../measuring/library.ts";
import { median } from "../measuring/statistics.ts";
import { atLeast, atMost, defineRow, MYTHIC } from "../row.ts";
import { number } from "../table.ts";

/** Stands for the minute, which nobody wants to wait for several times. */
const PERIOD_MS = 10_000;
/** The questions of the library take two and a half periods. */
const TOKENS = 560_000;
const REQUESTS = 625;
const LATENCY_MS = 150;
const SLOTS = 16;

const MAKESPAN = "makespan ÷ lower bound";
const WORST = "worst window ÷ limit";
const MEAN = "mean use ÷ limit";

export const row = defineRow({
  name: "makespan",
  measures:
    "How near a library comes to what the limits of its endpoint allow, and how far beyond them it goes.",
  how: `20 books of 30 chapters and 3 steps, a quarter alike, in 4 processes with ${SLOTS} steps at once. The endpoint takes ${TOKENS} tokens and ${REQUESTS} requests in any window of ${PERIOD_MS / 1_000} s, counted as they arrive and by what they really come to, and answers 429 beyond; an answer takes ${LATENCY_MS} ms and has a third of the tokens that it may have. Lower bound: all tokens, or all requests, at the rate of their limit, and one answer. The worst window counts refused calls too.`,
  bars: { [MAKESPAN]: atMost(1.11), [WORST]: atMost(1.15), [MEAN]: atLeast(0.9) },
  async run(bench) {
    let rounds: readonly Round[] = [];
    const figures = await bench.each([MYTHIC], async () => {
      rounds = await bench.repeat(() => measure(bench));
      const refused = median(rounds.map((round) => round.refused));
      const makespanMs = median(rounds.map((round) => round.makespanMs));
      return {
        samples: rounds.map((round) => round.makespanMs / round.boundMs),
        note: `${number(makespanMs)} ms, ${refused} refused`,
      };
    });
    const of = (sample: (round: Round) => number) => ({
      figures: figures.map(({ contender }) => ({ contender, samples: rounds.map(sample) })),
    });
    return {
      [MAKESPAN]: { figures },
      [WORST]: of(({ worst }) => worst),
      [MEAN]: of(({ mean }) => mean),
    };
  },
});

interface Round {
  readonly makespanMs: number;
  readonly boundMs: number;
  readonly worst: number;
  readonly mean: number;
  readonly refused: number;
}

async function measure(bench: Bench): Promise<Round> {
  const limits = { requests: REQUESTS, tokens: TOKENS, windowMs: PERIOD_MS };
  await using fake = await startFakeOpenAi({ latencyMs: LATENCY_MS, limits });
  const contentOf = (letters: number) => JSON.stringify({ summary: "a".repeat(letters) });
  fake.script({
    does: { kind: "answer", content: ({ prompt }) => contentOf(500 + ((prompt.length * 7) % 3_000)) },
  });
  await using redis = await startRedis();
  await using dataDir = await makeDataDir();
  const library = libraryOf(bench);
  await using workers = await BookWorkers.start(bench, {
    contender: MYTHIC,
    tiers: "redis",
    redisUrl: redis.url,
    baseUrl: fake.baseUrl,
    dataDir: dataDir.path,
    library,
    slots: SLOTS,
    limits: {
      perPeriod: { requestsPerMinute: REQUESTS, tokensPerMinute: TOKENS },
      periodMs: PERIOD_MS,
    },
  });
  const begun = performance.now();
  await workers.begin("run");
  await workers.done();
  const makespanMs = performance.now() - begun;
  return { makespanMs, ...summarise(fake, differentQuestions(library)) };
}

function summarise(fake: FakeOpenAi, questions: number): Omit<Round, "makespanMs"> {
  const calls = fake.calls();
  const taken = calls.filter(({ outcome }) => outcome === "answered");
  if (taken.length !== questions) throw new Error(`${taken.length} calls for ${questions} questions.`);
  const tokensOf = ({ tokens }: RecordedCall) => tokens;
  const tokens = taken.reduce((sum, call) => sum + call.tokens, 0);
  const periods = Math.max(tokens / TOKENS, taken.length / REQUESTS);
  const spanMs = (taken.at(-1)?.arrivedAt ?? 0) - (taken[0]?.arrivedAt ?? 0);
  return {
    boundMs: periods * PERIOD_MS + LATENCY_MS,
    worst: Math.max(worstOf(calls, tokensOf) / TOKENS, worstOf(calls, () => 1) / REQUESTS),
    mean: (periods * PERIOD_MS) / spanMs,
    refused: calls.length - taken.length,
  };
}

/** The most in any window of the period. */
function worstOf(calls: readonly RecordedCall[], amount: (call: RecordedCall) => number): number {
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
  return worst;
}
