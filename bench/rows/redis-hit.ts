import { measureHits } from "../measuring/hits.ts";
import { atMost, BARE_MINIMUM, defineRow, MYTHIC } from "../row.ts";

const PLAIN = "no tags: CPU ÷ (GET + parse)";
const TAGGED = "two tags: CPU ÷ (GET + parse)";

export const row = defineRow({
  name: "redis-hit",
  measures:
    "Client CPU of a value that only Redis holds, as a share of a Redis GET and JSON.parse of the same value.",
  how: "As l1-hit, without a tier in the process. Bare minimum: GET and parse by hand; with tags, one MGET of the value and two versions.",
  bars: { [PLAIN]: atMost(1.25), [TAGGED]: atMost(1.4) },
  async run(bench) {
    const bareMinimum = "naive";
    const plain = await measureHits(bench, {
      contenders: [
        MYTHIC,
        BARE_MINIMUM,
        "bentocache",
        "cachified",
        "cacheable",
        "cache-manager",
        "async-cache-dedupe",
        "layered-loader",
        "node-redis",
      ],
      bareMinimum,
      tiers: "redis",
    });
    const tagged = await measureHits(bench, {
      contenders: [MYTHIC, BARE_MINIMUM, "bentocache", "cacheable", "async-cache-dedupe"],
      bareMinimum,
      tiers: "redis",
      tags: ["reader", "books"],
    });
    return { [PLAIN]: { figures: plain }, [TAGGED]: { figures: tagged } };
  },
});
