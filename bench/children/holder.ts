import { openContender } from "../caches/cache.ts";
import { sharedNow } from "../measuring/clock.ts";
import { listenForHops } from "../measuring/hop.ts";
import { readSettings, takeOrders } from "../measuring/orders.ts";

/** Holds a value in its own memory and notes when it lets go of it. */
export interface HolderSettings {
  readonly cache: string;
  readonly redisUrl: string;
}

export interface HolderOrders {
  /** Takes a value into memory, and looks from now on in each turn of the event loop whether it is still there. */
  hold(order: { readonly key: string }): Promise<void>;
  /** How long a message took that was sent while the value was held, in milliseconds. */
  hop(order: null): Promise<number>;
  /** When the value was let go, on the clock that all processes share; null when it was still there after so long. */
  dropped(order: { readonly withinMs: number }): Promise<number | null>;
}

const { cache: name, redisUrl } = readSettings<HolderSettings>();
const nextHop = await listenForHops(redisUrl);

let loads = 0;
const cache = await openContender(name, { redisUrl, tiers: "local and redis" }, async (key) => {
  loads++;
  return { of: key, load: loads };
});
let dropping: Promise<number | null> = Promise.resolve(null);
let givesUpAt = Number.POSITIVE_INFINITY;

await takeOrders<HolderOrders>({
  async hold({ key }) {
    await cache.get(key);
    await cache.get(key);
    givesUpAt = Number.POSITIVE_INFINITY;
    dropping = untilDropped(key);
  },
  hop: nextHop,
  async dropped({ withinMs }) {
    givesUpAt = sharedNow() + withinMs;
    return await dropping;
  },
});

async function untilDropped(key: string): Promise<number | null> {
  const loadsBefore = loads;
  const isHeld = async () => {
    if (cache.holds !== undefined) return cache.holds(key);
    // A cache that cannot tell shows it by loading.
    await cache.get(key);
    return loads === loadsBefore;
  };
  while (await isHeld()) {
    if (sharedNow() > givesUpAt) return null;
    await nextTurn();
  }
  return sharedNow();
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
