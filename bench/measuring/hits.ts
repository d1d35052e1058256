import { startRedis } from "@mythic/testing/redis";
import type { Bench } from "../bench.ts";
import type { HitOrders, HitSettings } from "../children/hits.ts";
import { BARE_MINIMUM, type Figure } from "../row.ts";
import { TURNS } from "./cpu.ts";

export interface HitsOptions extends Pick<HitSettings, "tiers" | "tags"> {
  readonly contenders: readonly string[];
  /** The file of `caches/` that stands for the bare minimum. */
  readonly bareMinimum: string;
}

/** What a hit costs each cache in CPU of the process that asks, as a share of `GET` and `JSON.parse` in the same process. */
export async function measureHits(bench: Bench, options: HitsOptions): Promise<readonly Figure[]> {
  const { contenders, bareMinimum, ...settings } = options;
  return await bench.each(contenders, async (contender) => {
    await using redis = await startRedis();
    const cache = contender === BARE_MINIMUM ? bareMinimum : contender;
    await using child = await bench.child<HitOrders>("hits", { ...settings, cache, redisUrl: redis.url });
    const samples = await bench.inRounds(() => child.order("round", { turns: bench.size(TURNS, 1) }));
    return { samples };
  });
}
