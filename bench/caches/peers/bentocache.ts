import { BentoCache, bentostore } from "bentocache";
import { memoryDriver } from "bentocache/drivers/memory";
import { redisBusDriver, redisDriver } from "bentocache/drivers/redis";
import { connect, type OpenCache, TTL_MS } from "../cache.ts";

export const openCache: OpenCache = async ({ redisUrl, tiers, tags }, load) => {
  const { hostname: host, port } = new URL(redisUrl);
  const local = memoryDriver({ maxItems: 10_000 });
  // Made only where it is asked for: each connects at once.
  const remote = () => redisDriver({ connection: connect(redisUrl) as never });
  const bus = () => redisBusDriver({ connection: { host, port: Number(port) } });
  const store = {
    local: () => bentostore().useL1Layer(local),
    redis: () => bentostore().useL2Layer(remote()),
    "local and redis": () => bentostore().useL1Layer(local).useL2Layer(remote()).useBus(bus()),
  }[tiers]();
  const cache = new BentoCache({
    default: "store",
    stores: { store },
    ttl: TTL_MS,
    l2CircuitBreakerDuration: "30s",
  });
  return {
    get: (key) =>
      cache.getOrSet({ key, factory: () => load(key), ...(tags === undefined ? {} : { tags: [...tags] }) }),
    invalidate: (key) => cache.delete({ key }),
    invalidateTag: (tag) => cache.deleteByTag({ tags: [tag] }),
  };
};
