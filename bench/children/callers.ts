import { setTimeout as pause } from "node:timers/promises";
import { openContender } from "../caches/cache.ts";
import { sharedNow } from "../measuring/clock.ts";
import { listenForHops } from "../measuring/hop.ts";
import { readSettings, takeOrders } from "../measuring/orders.ts";

/** One of several processes in which many ask for the same value at the same moment. */
export interface CallersSettings {
  readonly cache: string;
  readonly redisUrl: string;
}

export interface Stampede {
  readonly key: string;
  readonly callers: number;
  /** How long a load takes, in milliseconds, and whether it then fails. */
  readonly loadMs: number;
  readonly fails: boolean;
  /** When to begin and when to give up, on the clock that all processes share. */
  readonly beginsAt: number;
  readonly endsAt: number;
}

export interface StampedeResult {
  /** When the first caller asked. */
  readonly begunAt: number;
  readonly loads: number;
  /** How long the longest load took, as its own process saw it. */
  readonly longestLoadMs: number;
  /** When the last caller had its answer; null when some had none in time. */
  readonly settledAt: number | null;
  /** Answers by what they were: the value, an error, or something that nobody loaded. */
  readonly values: number;
  readonly errors: number;
  readonly others: number;
}

export interface CallersOrders {
  stampede(order: Stampede): Promise<StampedeResult>;
  /** How long so many messages took, in milliseconds. */
  hops(order: { readonly messages: number }): Promise<readonly number[]>;
}

const { cache: name, redisUrl } = readSettings<CallersSettings>();
const nextHop = await listenForHops(redisUrl);
let now: Stampede | null = null;
let loads = 0;
let longestLoadMs = 0;
const cache = await openContender(name, { redisUrl, tiers: "redis" }, load);

await takeOrders<CallersOrders>({
  async hops({ messages }) {
    const hops: number[] = [];
    while (hops.length < messages) hops.push(await nextHop());
    return hops;
  },
  async stampede(order) {
    now = order;
    loads = 0;
    longestLoadMs = 0;
    const answers = { values: 0, errors: 0, others: 0 };
    while (sharedNow() < order.beginsAt) await pause(1);
    const begunAt = sharedNow();
    const all = Promise.all(
      Array.from({ length: order.callers }, () =>
        cache.get(order.key).then(count, () => void answers.errors++),
      ),
    );
    const givenUp = pause(order.endsAt - sharedNow(), null, { ref: false });
    const settledAt = await Promise.race([all.then(sharedNow), givenUp]);
    return { begunAt, loads, longestLoadMs, settledAt, ...answers };

    function count(value: unknown): void {
      if (value !== null && typeof value === "object" && "of" in value && value.of === order.key)
        answers.values++;
      else answers.others++;
    }
  },
});

async function load(key: string): Promise<unknown> {
  const begun = performance.now();
  loads++;
  await pause(now?.loadMs);
  longestLoadMs = Math.max(longestLoadMs, performance.now() - begun);
  if (now?.fails) throw new Error("The source fails.");
  return { of: key };
}
