import { startRedis } from "@mythic/testing/redis";
import { Redis } from "ioredis";
import type { Bench } from "../bench.ts";
import type { HolderOrders } from "../children/holder.ts";
import type { Child } from "../measuring/child.ts";
import { sharedNow } from "../measuring/clock.ts";
import { sendHop } from "../measuring/hop.ts";
import { median, percentile } from "../measuring/statistics.ts";
import { atMost, BARE_MINIMUM, defineRow, type Figure, MYTHIC } from "../row.ts";

const DELETIONS = 100;
const SMOKE_DELETIONS = 2;
/** What is still held then was not noticed. */
const GIVE_UP_MS = 500;
const PEERS = ["node-redis", "bentocache", "layered-loader", "cacheable", "cache-manager"];

export const row = defineRow({
  name: "coherence",
  measures:
    "How long a process still holds a value that another client has deleted from Redis with DEL, in pub/sub hops of the same run.",
  how: `${DELETIONS} deletions a round, each beside a message on a channel to the same process. What is still held after ${GIVE_UP_MS} ms counts as never dropped. Bare minimum: the message.`,
  bars: { "median, in hops": atMost(3), "99th percentile, in hops": null },
  async run(bench) {
    const slowest: Figure[] = [];
    const medians = await bench.each([MYTHIC, BARE_MINIMUM, ...PEERS], async (contender) => {
      const rounds = await measure(bench, contender);
      slowest.push({ contender, samples: rounds.map(({ slow }) => slow) });
      return { samples: rounds.map(({ middle }) => middle) };
    });
    return { "median, in hops": { figures: medians }, "99th percentile, in hops": { figures: slowest } };
  },
});

interface Round {
  readonly middle: number;
  readonly slow: number;
}

async function measure(bench: Bench, contender: string): Promise<readonly Round[]> {
  const deletions = bench.size(DELETIONS, SMOKE_DELETIONS);
  await using redis = await startRedis();
  const settings = { cache: contender === BARE_MINIMUM ? "map" : contender, redisUrl: redis.url };
  await using holder = await bench.child<HolderOrders>("holder", settings);
  const other = new Redis(redis.url);
  try {
    return await bench.inRounds(async (round) => {
      const drops: number[] = [];
      const hops: number[] = [];
      for (let at = 0; at < deletions; at++) {
        const key = `value-${round}-${at}`;
        await holder.order("hold", { key });
        hops.push(await measureHop(holder, other));
        if (contender === BARE_MINIMUM) continue;
        drops.push(await measureDrop(holder, other, key));
        // Who has not noticed one will not notice the next.
        if (drops.at(-1) === Number.POSITIVE_INFINITY) break;
      }
      const times = contender === BARE_MINIMUM ? hops : drops;
      return { middle: median(times) / median(hops), slow: percentile(times, 0.99) / median(hops) };
    });
  } finally {
    other.disconnect();
  }
}

async function measureHop(holder: Child<HolderOrders>, other: Redis): Promise<number> {
  // As before a DEL: a connection that was idle is slower once.
  await other.ping();
  await sendHop(other);
  return await holder.order("hop", null);
}

async function measureDrop(holder: Child<HolderOrders>, other: Redis, key: string): Promise<number> {
  const keys = await other.keys(`*${key}*`);
  const deletedAt = sharedNow();
  const deleted = await other.del(keys);
  if (deleted === 0) throw new Error(`Nothing in Redis is named after ${key}.`);
  const droppedAt = await holder.order("dropped", { withinMs: GIVE_UP_MS });
  return droppedAt === null ? Number.POSITIVE_INFINITY : droppedAt - deletedAt;
}
