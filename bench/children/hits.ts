import { connect, openContender } from "../caches/cache.ts";
import { cpuRatio } from "../measuring/cpu.ts";
import { readSettings, takeOrders } from "../measuring/orders.ts";

/** Measures what a hit costs this process, beside `GET` and `JSON.parse` of the same value. */
export interface HitSettings {
  readonly cache: string;
  readonly redisUrl: string;
  readonly tiers: "local" | "redis" | "local and redis";
  readonly tags?: readonly string[];
}

export interface HitOrders {
  /** CPU of a call, as a share of the base's. */
  round(order: { readonly turns: number }): Promise<number>;
}

const KEYS = 1_000;
/** About 2 kB as JSON, as a run's status with its chapters or a list of books is. */
const VALUE = {
  id: "run_01J8Z3V5N6Q7R8S9T0",
  status: "running",
  revision: 17,
  chapters: Array.from({ length: 20 }, (_, at) => ({
    index: at,
    title: `Chapter ${at + 1}: of the tide and of the keeper`,
    status: at < 12 ? "done" : "pending",
    length: 10_000 + at,
  })),
};

const settings = readSettings<HitSettings>();
const redis = connect(settings.redisUrl);
const json = JSON.stringify(VALUE);
await redis.mset(Array.from({ length: KEYS }, (_, at) => [`base:${at}`, json]).flat());
const cache = await openContender(settings.cache, settings, async () => VALUE);
for (let at = 0; at < KEYS; at++) await cache.get(`value-${at}`);

let next = 0;
const key = () => (next = (next + 1) % KEYS);
const base = async () => JSON.parse((await redis.get(`base:${key()}`)) ?? "");
const contender = () => cache.get(`value-${key()}`);

await takeOrders<HitOrders>({
  round: ({ turns }) => cpuRatio({ base, contender, turns }),
});
