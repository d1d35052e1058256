import { startRedis } from "@mythic/testing/redis";
import type { Bench } from "../bench.ts";
import type { MidLoad, ReaderOrders } from "../children/reader.ts";
import { atLeast, BARE_MINIMUM, defineRow, type Figure, MYTHIC } from "../row.ts";

const KEY = "by key: fresh reads";
const KEY_ELSEWHERE = "by key, elsewhere: fresh reads";
const TAG_ELSEWHERE = "by tag, elsewhere: fresh reads";
const CASES: Readonly<Record<string, Omit<MidLoad, "key">>> = {
  [KEY]: { by: "key", invalidator: "same" },
  [KEY_ELSEWHERE]: { by: "key", invalidator: "other" },
  [TAG_ELSEWHERE]: { by: "tag", invalidator: "other" },
};
const PEERS = [
  "bentocache",
  "cachified",
  "cacheable",
  "cache-manager",
  "async-cache-dedupe",
  "layered-loader",
];

export const row = defineRow({
  name: "mid-load",
  measures:
    "Whether a value that is invalidated while it is being loaded is fresh when it is read again: 1 for yes, 0 for the old one.",
  how: "The load reads the old state, the invalidation is acknowledged, the load ends, then both who loaded and another read; elsewhere means that the other one invalidates. Bare minimum: GET, else load and SET.",
  bars: { [KEY]: atLeast(1), [KEY_ELSEWHERE]: atLeast(1), [TAG_ELSEWHERE]: atLeast(1) },
  async run(bench) {
    const measured: Record<string, { readonly figures: readonly Figure[] }> = {};
    for (const [name, midLoad] of Object.entries(CASES)) {
      measured[name] = { figures: await measure(bench, midLoad) };
    }
    return measured;
  },
});

async function measure(bench: Bench, midLoad: Omit<MidLoad, "key">): Promise<readonly Figure[]> {
  const figures = await bench.each([MYTHIC, BARE_MINIMUM, ...PEERS], async (contender) => {
    await using redis = await startRedis();
    const cache = contender === BARE_MINIMUM ? "naive" : contender;
    await using reader = await bench.child<ReaderOrders>("reader", { cache, redisUrl: redis.url });
    const rounds = await bench.inRounds(async (round) => {
      return await reader.order("invalidateInMidLoad", { ...midLoad, key: `value-${round}` });
    });
    if (rounds.some(({ fresh }) => fresh === null)) return { samples: [], note: "no tags" };
    return { samples: rounds.map(({ fresh }) => (fresh ? 1 : 0)) };
  });
  return figures.filter(({ note }) => note !== "no tags");
}
