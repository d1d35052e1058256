import { startFakeOpenAi } from "@mythic/testing/fake-openai";
import { startRedis } from "@mythic/testing/redis";
import type { Bench } from "../bench.ts";
import type { AnswerHitsOrders, AnswerHitsSettings } from "../children/answer-hits.ts";
import { makeDataDir } from "../measuring/api.ts";
import type { Child } from "../measuring/child.ts";
import { median } from "../measuring/statistics.ts";
import { atLeast, atMost, BARE_MINIMUM, defineRow, type Figure, type Measured, MYTHIC } from "../row.ts";
import { number } from "../table.ts";

const ANSWER_LETTERS = 6_000;
const CALLERS = 64;
const CALLS = 2_000;
const SMOKE_CALLS = 100;
/** Short, and several in a round, so that all contenders meet the same machine. */
const TURN_MS = 250;
const TURNS = 4;
const SMOKE_TURN_MS = 50;
const WARM_UP_MS = 2_000;

const LANGCHAIN = "langchain";
const AI_SDK = "ai-sdk";

const REDIS = "from Redis, 1 caller: p50 ÷ (SHA-256 + GET + parse)";
const TOGETHER = `from Redis, ${CALLERS} callers: calls a second ÷ LangChain.js`;
const TO_RECIPE = `from Redis, ${CALLERS} callers: calls a second ÷ AI SDK recipe`;
const LOCAL = "from memory, 1 caller: p50 ÷ (SHA-256 + GET + parse)";

export const row = defineRow({
  name: "answer-hit",
  measures:
    "What an answer costs that is there already: the key of a prompt of 4 kB, and the answer of 6 kB.",
  how: `A child asks for 200 answers over and over. One caller: in turns with the SHA-256 of the request's JSON, GET and JSON.parse of a completion with the same answer, the median of each. ${CALLERS} callers: ${TURNS} times ${TURN_MS} ms in each round, the contenders in turn. From memory: with Redis behind it. Bare minimum: that floor with the SDK behind it; bentocache: with the SHA-256 of our canonical JSON as key.`,
  bars: { [REDIS]: atMost(3), [TOGETHER]: atLeast(2), [TO_RECIPE]: atLeast(1), [LOCAL]: atMost(0.3) },
  async run(bench) {
    await using stack = new AsyncDisposableStack();
    const fake = stack.use(await startFakeOpenAi());
    fake.script({ does: { kind: "answer", content: "so many ships ".repeat(ANSWER_LETTERS / 14) } });
    const load = { callers: CALLERS, forMs: bench.size(TURN_MS, SMOKE_TURN_MS) };
    const start = async (contender: string, tiers: AnswerHitsSettings["tiers"]) => {
      const child = await startFilled(bench, { contender, tiers, baseUrl: fake.baseUrl }, stack);
      await child.order("together", { ...load, forMs: bench.size(WARM_UP_MS, SMOKE_TURN_MS) });
      return child;
    };

    const children = new Map<string, Child<AnswerHitsOrders>>();
    const alone = await bench.each(
      [MYTHIC, BARE_MINIMUM, LANGCHAIN, AI_SDK, "bentocache"],
      async (contender) => {
        const child = await start(contender, "redis");
        children.set(contender, child);
        return await measureAlone(bench, child);
      },
    );
    const perSecond = new Map([...children.keys()].map((name): [string, number[]] => [name, []]));
    await bench.repeat(async () => {
      const sums = new Map<string, number>();
      for (let turn = 0; turn < TURNS; turn++) {
        for (const [name, child] of children)
          sums.set(name, (sums.get(name) ?? 0) + (await child.order("together", load)));
      }
      for (const [name, sum] of sums) perSecond.get(name)?.push(sum / TURNS);
    });
    const local = await bench.each([MYTHIC, "bentocache"], async (contender) =>
      measureAlone(bench, await start(contender, "local and redis")),
    );
    return {
      [REDIS]: { figures: alone },
      [TOGETHER]: comparedTo(LANGCHAIN, perSecond),
      [TO_RECIPE]: comparedTo(AI_SDK, perSecond),
      [LOCAL]: { figures: local },
    };
  },
});

async function startFilled(
  bench: Bench,
  { contender, ...options }: Pick<AnswerHitsSettings, "contender" | "tiers" | "baseUrl">,
  stack: AsyncDisposableStack,
): Promise<Child<AnswerHitsOrders>> {
  const redis = stack.use(await startRedis());
  const dataDir = stack.use(await makeDataDir());
  const name = contender === BARE_MINIMUM ? "naive" : contender;
  const settings = { ...options, contender: name, redisUrl: redis.url, dataDir: dataDir.path };
  const child = stack.use(await bench.child<AnswerHitsOrders>("answer-hits", settings));
  await child.order("fill", null);
  return child;
}

async function measureAlone(
  bench: Bench,
  child: Child<AnswerHitsOrders>,
): Promise<Omit<Figure, "contender">> {
  const calls = bench.size(CALLS, SMOKE_CALLS);
  const rounds = await bench.inRounds(() => child.order("alone", { calls }));
  return {
    samples: rounds.map(({ hitUs, floorUs }) => hitUs / floorUs),
    note: `${number(median(rounds.map(({ hitUs }) => hitUs)))} µs`,
  };
}

/** Round by round. */
function comparedTo(peer: string, perSecond: ReadonlyMap<string, readonly number[]>): Measured {
  const base = perSecond.get(peer);
  if (base === undefined) return { figures: [], leftOut: `${peer} was not measured` };
  const figures = [...perSecond].map(([contender, samples]) => ({
    contender,
    samples: samples.map((sample, round) => sample / (base[round] ?? Number.NaN)),
    note: `${number(median(samples))}/s`,
  }));
  return { figures };
}
