import { setTimeout as pause } from "node:timers/promises";
import { COMMAND_TIMEOUT_MS, openContender } from "../caches/cache.ts";
import { readSettings, takeOrders } from "../measuring/orders.ts";

/** Asks for one value after the other and says how long each took. */
export interface LoneCallerSettings {
  readonly cache: string;
  readonly redisUrl: string;
}

export interface LoneCallerOrders {
  /** Asks for so many values, so that the code has been compiled before a call counts. */
  warmUp(order: { readonly calls: number }): Promise<void>;
  /** How late timers as long as the time-out of a command come at worst, in milliseconds. */
  lateness(order: null): Promise<number>;
  call(order: { readonly key: string; readonly withinMs: number }): Promise<Call>;
}

interface Call {
  /** Null when there was no answer in time. */
  readonly ms: number | null;
  readonly outcome: "value" | "error" | "nothing";
}

const TIMERS = 20;

const { cache: name, redisUrl } = readSettings<LoneCallerSettings>();
const cache = await openContender(name, { redisUrl, tiers: "local and redis" }, async (key) => ({ of: key }));

await takeOrders<LoneCallerOrders>({
  async warmUp({ calls }) {
    for (let at = 0; at < calls; at++) await call({ key: `warm-${at}`, withinMs: COMMAND_TIMEOUT_MS });
  },
  async lateness() {
    const late = Array.from({ length: TIMERS }, async (_, at) => {
      await pause(at);
      const begun = performance.now();
      await pause(COMMAND_TIMEOUT_MS);
      return performance.now() - begun - COMMAND_TIMEOUT_MS;
    });
    return Math.max(...(await Promise.all(late)));
  },
  call,
});

async function call({ key, withinMs }: { readonly key: string; readonly withinMs: number }): Promise<Call> {
  const givenUp = pause(withinMs, null, { ref: false });
  const begun = performance.now();
  const answer = cache.get(key).then(
    (value) => (value === undefined ? "nothing" : "value"),
    () => "error" as const,
  );
  const outcome = await Promise.race([answer, givenUp]);
  const ms = performance.now() - begun;
  return outcome === null ? { ms: null, outcome: "nothing" } : { ms, outcome };
}
