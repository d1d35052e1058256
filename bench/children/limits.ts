import { connect } from "../caches/cache.ts";
import { openContender } from "../limiters/limiter.ts";
import { cpuRatio } from "../measuring/cpu.ts";
import { readSettings, takeOrders } from "../measuring/orders.ts";

/** Measures what a check of limits costs this process, beside a plain `GET`. */
export interface LimitsSettings {
  readonly limiter: string;
  readonly redisUrl: string;
}

export interface LimitsOrders {
  /** CPU of a call, as a share of the base's. */
  round(order: { readonly turns: number }): Promise<number>;
}

const CALLERS = 1_000;

const { limiter, redisUrl } = readSettings<LimitsSettings>();
const redis = connect(redisUrl);
await redis.mset(Array.from({ length: CALLERS }, (_, at) => [`base:${at}`, "12345"]).flat());
const check = await openContender(limiter, redisUrl);

let next = 0;
const caller = () => (next = (next + 1) % CALLERS);
const base = () => redis.get(`base:${caller()}`);
const contender = () => check(`reader-${caller()}`);

await takeOrders<LimitsOrders>({
  round: ({ turns }) => cpuRatio({ base, contender, turns }),
});
