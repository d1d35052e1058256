import { type FakeOpenAi, startFakeOpenAi } from "@mythic/testing/fake-openai";
import type { Bench } from "../bench.ts";
import { Crew } from "../measuring/crew.ts";
import { median } from "../measuring/statistics.ts";
import { atMost, BARE_MINIMUM, defineRow, type Figure, MYTHIC } from "../row.ts";
import { number } from "../table.ts";

const LATENCY_MS = 250;
const CHUNK_MS = 10;
const LETTERS = 1_000;
/** So that what is measured has been compiled. */
const WARM_UPS = 20;
const SMOKE_WARM_UPS = 1;

const ONE = "50 in one process: calls";
const FOUR = "4 × 25: calls";
const STREAMED = "4 × 25 streamed: calls";
const FIRST = "4 × 25 streamed: last first token after the first, in hops";

export const row = defineRow({
  name: "answer-stampede",
  measures: "How often a model is asked when many callers ask it the same at the same moment.",
  how: `The model takes ${LATENCY_MS} ms, and ${CHUNK_MS} more for each piece of a stream. A hop is a message over Redis from one process to the last of the four, in the same run. Fresh processes are warmed up by ${WARM_UPS} others. LangChain.js caches no streams, bentocache has none. Bare minimum: SHA-256 of the request, GET, else ask and SET; openai: the official SDK alone.`,
  bars: { [ONE]: atMost(1), [FOUR]: atMost(1), [STREAMED]: atMost(1), [FIRST]: atMost(5) },
  async run(bench) {
    const contenders = [MYTHIC, BARE_MINIMUM, "langchain", "ai-sdk", "bentocache", "openai"];
    const streaming = [MYTHIC, "langchain", "ai-sdk", "openai"];
    const firsts: Figure[] = [];
    const one = await bench.each(contenders, async (contender) => {
      const rounds = await measure(bench, contender, { processes: 1, callers: 50, streamed: false });
      return { samples: rounds.map(({ calls }) => calls) };
    });
    const four = await bench.each(contenders, async (contender) => {
      const rounds = await measure(bench, contender, { processes: 4, callers: 25, streamed: false });
      return { samples: rounds.map(({ calls }) => calls) };
    });
    const streamed = await bench.each(streaming, async (contender) => {
      const rounds = await measure(bench, contender, { processes: 4, callers: 25, streamed: true });
      const note = `${number(median(rounds.map(({ spreadMs }) => spreadMs)))} ms`;
      if (contender === MYTHIC)
        firsts.push({ contender, samples: rounds.map(({ spreadHops }) => spreadHops), note });
      return { samples: rounds.map(({ calls }) => calls) };
    });
    return {
      [ONE]: { figures: one },
      [FOUR]: { figures: four },
      [STREAMED]: { figures: streamed },
      [FIRST]: { figures: firsts },
    };
  },
});

interface Stampede {
  readonly processes: number;
  readonly callers: number;
  readonly streamed: boolean;
}

interface Round {
  readonly calls: number;
  /** From the first caller's first token to the last caller's. */
  readonly spreadMs: number;
  readonly spreadHops: number;
}

async function measure(bench: Bench, contender: string, stampede: Stampede): Promise<readonly Round[]> {
  const { processes, callers, streamed } = stampede;
  await using fake = await startFakeOpenAi({ latencyMs: LATENCY_MS });
  const does = { kind: "answer", content: "tide ".repeat(LETTERS / 5) } as const;
  fake.script({ match: "warm", latencyMs: 1, chunkMs: 1, does });
  fake.script({ chunkMs: CHUNK_MS, does });
  const name = contender === BARE_MINIMUM ? "naive" : contender;
  await using crew = await Crew.gather(bench, {
    contender: name,
    tiers: "local and redis",
    baseUrl: fake.baseUrl,
    processes,
  });
  const ask = (prompt: string) =>
    crew.ask(() => Array.from({ length: callers }, () => prompt), { callers, streamed });
  for (let at = bench.size(WARM_UPS, SMOKE_WARM_UPS); at > 0; at--) await ask(`warm ${at}`);
  return await bench.inRounds(async (round) => {
    const hopMs = await crew.hopMs();
    const results = await ask(`What came in with the tide of day ${round}?`);
    const texts = new Set(results.flatMap((result) => result.texts));
    if (texts.size !== 1) throw new Error("Not all had the same answer.");
    const firsts = results.flatMap(({ firstPiecesAt }) => firstPiecesAt);
    const spreadMs = Math.max(...firsts) - Math.min(...firsts);
    return { calls: callsOf(fake, round), spreadMs, spreadHops: spreadMs / hopMs };
  });
}

function callsOf(fake: FakeOpenAi, round: number): number {
  return fake.calls().filter(({ request }) => request.prompt.endsWith(`of day ${round}?`)).length;
}
