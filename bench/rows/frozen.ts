import { startRedis } from "@mythic/testing/redis";
import type { Bench } from "../bench.ts";
import { COMMAND_TIMEOUT_MS } from "../caches/cache.ts";
import type { LoneCallerOrders } from "../children/lone-caller.ts";
import { atMost, atMostMeasured, BARE_MINIMUM, defineRow, type Figure, MYTHIC } from "../row.ts";

const GIVE_UP_MS = 1_000;
const LATER_CALLS = 10;
const WARM_UP_CALLS = 500;
const FIRST = "first call, ms";
const LATER = "slowest later call, ms";
const PEERS = [
  "bentocache",
  "cachified",
  "cacheable",
  "cache-manager",
  "async-cache-dedupe",
  "layered-loader",
];

export const row = defineRow({
  name: "frozen",
  measures:
    "How long calls for values that are nowhere take while Redis is frozen: the first, and the slowest of ten that follow.",
  how: `The load itself takes no time; commands are given up after ${COMMAND_TIMEOUT_MS} ms where the client can be told so. A fresh process in each round; nobody is waited for longer than ${GIVE_UP_MS / 1_000} s. Bare minimum: GET, else load and SET.`,
  bars: {
    [FIRST]: atMostMeasured("time-out + a timer's lateness"),
    [LATER]: atMost(1),
  },
  async run(bench) {
    const later: Figure[] = [];
    const lateness: number[] = [];
    const first = await bench.each([MYTHIC, BARE_MINIMUM, ...PEERS], async (contender) => {
      const cache = contender === BARE_MINIMUM ? "naive" : contender;
      const rounds = await bench.repeat(() => measure(bench, cache));
      const note = rounds.some(({ wrong }) => wrong) ? { note: "throws" } : {};
      lateness.push(...rounds.map((round) => round.latenessMs));
      later.push({ contender, samples: rounds.map(({ laterMs }) => laterMs), ...note });
      return { samples: rounds.map(({ firstMs }) => firstMs), ...note };
    });
    return {
      [FIRST]: { figures: first, limit: COMMAND_TIMEOUT_MS + Math.max(...lateness) },
      [LATER]: { figures: later },
    };
  },
});

interface Round {
  readonly firstMs: number;
  readonly laterMs: number;
  /** Whether a call had another end than a value. */
  readonly wrong: boolean;
  readonly latenessMs: number;
}

async function measure(bench: Bench, cache: string): Promise<Round> {
  await using redis = await startRedis();
  await using caller = await bench.child<LoneCallerOrders>("lone-caller", { cache, redisUrl: redis.url });
  const call = async (key: string) => {
    const { ms, outcome } = await caller.order("call", { key, withinMs: GIVE_UP_MS });
    return { ms: ms ?? Number.POSITIVE_INFINITY, wrong: outcome === "error" };
  };
  await caller.order("warmUp", { calls: WARM_UP_CALLS });
  const latenessMs = await caller.order("lateness", null);
  await redis.pause();
  const first = await call("cold");
  const later: Awaited<ReturnType<typeof call>>[] = [];
  while (later.length < LATER_CALLS) {
    const next = await call(`cold-${later.length}`);
    later.push(next);
    // Who waits for Redis again does so each time.
    if (next.ms > COMMAND_TIMEOUT_MS / 2) break;
  }
  return {
    firstMs: first.ms,
    laterMs: Math.max(...later.map(({ ms }) => ms)),
    wrong: [first, ...later].some(({ wrong }) => wrong),
    latenessMs,
  };
}
