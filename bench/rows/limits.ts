import { startRedis } from "@mythic/testing/redis";
import type { LimitsOrders } from "../children/limits.ts";
import { TURNS } from "../measuring/cpu.ts";
import { atMost, BARE_MINIMUM, defineRow, MYTHIC } from "../row.ts";

const CPU = "CPU ÷ GET";

export const row = defineRow({
  name: "limits",
  measures: "Client CPU of one check against three limits at once, as a share of a plain Redis GET.",
  how: "1,000 callers, no refusals, in turns with GET in the same process. rate-limiter-flexible checks a union of two. Bare minimum: a script that takes three keys and does nothing.",
  bars: { [CPU]: atMost(1.7) },
  async run(bench) {
    const figures = await bench.each([MYTHIC, BARE_MINIMUM, "rate-limiter-flexible"], async (contender) => {
      await using redis = await startRedis();
      const limiter = contender === BARE_MINIMUM ? "script" : contender;
      await using child = await bench.child<LimitsOrders>("limits", { limiter, redisUrl: redis.url });
      const samples = await bench.inRounds(() => child.order("round", { turns: bench.size(TURNS, 1) }));
      return contender === "rate-limiter-flexible" ? { samples, note: "two limits" } : { samples };
    });
    return { [CPU]: { figures } };
  },
});
