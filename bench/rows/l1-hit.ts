import { measureHits } from "../measuring/hits.ts";
import { atMost, BARE_MINIMUM, defineRow, MYTHIC } from "../row.ts";

const CPU = "CPU ÷ (GET + parse)";

export const row = defineRow({
  name: "l1-hit",
  measures:
    "Client CPU of a value that the process holds already, as a share of a Redis GET and JSON.parse of the same value.",
  how: "A child asks for 1,000 values of 2 kB from 100 callers, in turns with GET and parse. Redis is the second tier of those that can have two. Bare minimum: a Map and a look at the clock.",
  bars: { [CPU]: atMost(0.05) },
  async run(bench) {
    const bareMinimum = "map";
    const tiered = await measureHits(bench, {
      contenders: [MYTHIC, "layered-loader", "bentocache", "node-redis", "cacheable", "cache-manager"],
      bareMinimum,
      tiers: "local and redis",
    });
    const local = await measureHits(bench, {
      contenders: [BARE_MINIMUM, "lru-cache", "async-cache-dedupe", "cachified"],
      bareMinimum,
      tiers: "local",
    });
    return { [CPU]: { figures: [...tiered, ...local] } };
  },
});
