import { startRedis } from "@mythic/testing/redis";
import type { MidLoad, ReaderOrders } from "../children/reader.ts";
import { atLeast, BARE_MINIMUM, defineRow, type Figure, MYTHIC } from "../row.ts";

const KEY = "by key: fresh reads";
const KEY_ELSEWHERE = "by key, elsewhere: fresh reads";
const TAG_ELSEWHERE = "by tag, elsewhere: fresh reads";
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
    const elsewhere: Figure[] = [];
    const tagged: Figure[] = [];
    const here = await bench.each([MYTHIC, BARE_MINIMUM, ...PEERS], async (contender) => {
      await using redis = await startRedis();
      const cache = contender === BARE_MINIMUM ? "naive" : contender;
      await using reader = await bench.child<ReaderOrders>("reader", { cache, redisUrl: redis.url });
      const measure = async (midLoad: Omit<MidLoad, "key">) => {
        const rounds = await bench.inRounds(async (round) => {
          const key = `${midLoad.by}-${midLoad.invalidator}-${round}`;
          return await reader.order("invalidateInMidLoad", { ...midLoad, key });
        });
        return rounds.map(({ fresh }) => fresh);
      };
      const samples = await measure({ by: "key", invalidator: "same" });
      elsewhere.push({
        contender,
        samples: (await measure({ by: "key", invalidator: "other" })).map(Number),
      });
      const byTag = await measure({ by: "tag", invalidator: "other" });
      // Not all have tags.
      if (!byTag.includes(null)) tagged.push({ contender, samples: byTag.map(Number) });
      return { samples: samples.map(Number) };
    });
    return {
      [KEY]: { figures: here },
      [KEY_ELSEWHERE]: { figures: elsewhere },
      [TAG_ELSEWHERE]: { figures: tagged },
    };
  },
});
