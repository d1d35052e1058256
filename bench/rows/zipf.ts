import { startFakeOpenAi } from "@mythic/testing/fake-openai";
import { Crew } from "../measuring/crew.ts";
import { atMost, BARE_MINIMUM, defineRow, MYTHIC } from "../row.ts";
import { number } from "../table.ts";

const PROCESSES = 4;
const CALLERS = 25;
const REQUESTS = 10_000;
const SMOKE_REQUESTS = 400;
const PROMPTS = 1_000;
const SMOKE_PROMPTS = 100;
const LATENCY_MS = 50;
const LETTERS = 4_000;
const SEED = 20_261_120;

const CALLS = "calls ÷ different prompts";

export const row = defineRow({
  name: "zipf",
  measures: "How often a model is asked when some prompts are asked far more often than others.",
  how: `${REQUESTS} requests over ${PROMPTS} prompts of 4 kB, drawn with probabilities 1 ÷ rank and the same for all contenders, from ${PROCESSES} processes with ${CALLERS} callers each; the model takes ${LATENCY_MS} ms. Bare minimum: SHA-256 of the request, GET, else ask and SET; openai: the official SDK alone.`,
  bars: { [CALLS]: atMost(1) },
  async run(bench) {
    const prompts = bench.size(PROMPTS, SMOKE_PROMPTS);
    const figures = await bench.each(
      [MYTHIC, BARE_MINIMUM, "langchain", "ai-sdk", "bentocache", "openai"],
      async (contender) => {
        await using fake = await startFakeOpenAi({ latencyMs: LATENCY_MS });
        await using crew = await Crew.gather(bench, {
          contender: contender === BARE_MINIMUM ? "naive" : contender,
          tiers: "local and redis",
          baseUrl: fake.baseUrl,
          processes: PROCESSES,
        });
        let askedMs = 0;
        const samples = await bench.repeat(async (round) => {
          const drawn = draw(bench.size(REQUESTS, SMOKE_REQUESTS), prompts, SEED + round).map((rank) =>
            promptOf(round, rank),
          );
          const before = fake.calls().length;
          const begun = performance.now();
          const part = (process: number) => drawn.filter((_, at) => at % PROCESSES === process);
          await crew.ask(part, { callers: CALLERS, streamed: false });
          askedMs += performance.now() - begun;
          return (fake.calls().length - before) / new Set(drawn).size;
        });
        return { samples, note: `${number(askedMs / samples.length)} ms` };
      },
    );
    return { [CALLS]: { figures } };
  },
});

/** Draws ranks from 0, each as probable as 1 ÷ (rank + 1) says. */
function draw(count: number, ranks: number, seed: number): readonly number[] {
  const sums: number[] = [];
  for (let rank = 0; rank < ranks; rank++) sums.push((sums.at(-1) ?? 0) + 1 / (rank + 1));
  const total = sums.at(-1) ?? 0;
  let state = seed;
  return Array.from({ length: count }, () => {
    // The generator of Park and Miller.
    state = (state * 16_807) % 2_147_483_647;
    const drawn = (state / 2_147_483_647) * total;
    return sums.findIndex((sum) => drawn < sum);
  });
}

function promptOf(round: number, rank: number): string {
  const sentence = `In round ${round} the keeper of light ${rank} wrote down so many ships.\n`;
  return sentence.repeat(Math.ceil(LETTERS / sentence.length)).slice(0, LETTERS);
}
