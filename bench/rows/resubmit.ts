import { type FakeOpenAi, startFakeOpenAi } from "@mythic/testing/fake-openai";
import { startRedis } from "@mythic/testing/redis";
import { waitFor } from "@mythic/testing/wait";
import type { Bench } from "../bench.ts";
import { makeDataDir } from "../measuring/api.ts";
import { BookWorkers } from "../measuring/book-workers.ts";
import { differentQuestions, libraryOf } from "../measuring/library.ts";
import { atMost, BARE_MINIMUM, defineRow, type Figure, MYTHIC } from "../row.ts";

const LATENCY_MS = 100;
/** An answer is in flight until it is written down, a moment after it was sent. */
const WRITTEN_MS = 100;
const SLOTS = 8;

const TWICE = "paid twice ÷ in flight at the kill";
const AGAIN = "calls of all of it again, after kill -9 and FLUSHALL";

export const row = defineRow({
  name: "resubmit",
  measures: "How much is paid for twice when workers are killed, and all is submitted again.",
  how: `20 books of 30 chapters and 3 steps, a quarter alike, in 4 processes with ${SLOTS} steps at once; an answer takes ${LATENCY_MS} ms. Half-way all four get SIGKILL and are started anew with all of it. In flight are calls that arrived less than ${LATENCY_MS + WRITTEN_MS} ms before. Then they are killed again, Redis is flushed, and all of it is submitted once more. Bare minimum: SHA-256 of the request, GET, else ask and SET.`,
  bars: { [TWICE]: atMost(1), [AGAIN]: atMost(0) },
  async run(bench) {
    const again: Figure[] = [];
    const twice = await bench.each([MYTHIC, BARE_MINIMUM, "langchain", "ai-sdk"], async (contender) => {
      const rounds = await bench.repeat(() => measure(bench, contender));
      again.push({ contender, samples: rounds.map((round) => round.again) });
      const { twice: calls, inFlight } = rounds.at(-1) ?? { twice: 0, inFlight: 0 };
      return {
        samples: rounds.map((round) => round.twice / round.inFlight),
        note: `${calls} of ${inFlight}`,
      };
    });
    return { [TWICE]: { figures: twice }, [AGAIN]: { figures: again } };
  },
});

interface Round {
  readonly twice: number;
  readonly inFlight: number;
  readonly again: number;
}

async function measure(bench: Bench, contender: string): Promise<Round> {
  const library = libraryOf(bench);
  const questions = differentQuestions(library);
  await using fake = await startFakeOpenAi({ latencyMs: LATENCY_MS });
  await using redis = await startRedis();
  await using dataDir = await makeDataDir();
  const start = () =>
    BookWorkers.start(bench, {
      contender: contender === BARE_MINIMUM ? "naive" : contender,
      tiers: "redis",
      redisUrl: redis.url,
      baseUrl: fake.baseUrl,
      dataDir: dataDir.path,
      library,
      slots: SLOTS,
      limits: null,
    });
  let killedAt: number;
  {
    await using workers = await start();
    await workers.begin("first");
    await waitFor(() => fake.calls().length > questions / 2, { timeoutMs: 60_000, everyMs: 1 });
    killedAt = performance.now();
  }
  {
    await using workers = await start();
    await workers.begin("second");
    await workers.done();
  }
  const twice = paidTwice(fake);
  const inFlight = fake.calls().filter(({ outcome, arrivedAt }) => {
    const isBefore = arrivedAt <= killedAt || outcome !== "answered";
    return isBefore && arrivedAt > killedAt - LATENCY_MS - WRITTEN_MS;
  }).length;
  const before = fake.calls().length;
  await redis.wipe();
  await using workers = await start();
  await workers.begin("third");
  await workers.done();
  return { twice, inFlight, again: fake.calls().length - before };
}

function paidTwice(fake: FakeOpenAi): number {
  return [...fake.callsByContent().values()].reduce((sum, calls) => sum + calls - 1, 0);
}
