import { beforeAll, describe } from "@jest/globals";
import { describeInvalidations } from "./invalidations.suite.ts";
import { describeLoads } from "./loads.suite.ts";
import type { SetUp } from "./set-up.ts";
import { describeSharing } from "./sharing.suite.ts";
import { describeValues } from "./values.suite.ts";
import { describeWatching } from "./watching.suite.ts";

/** What a cache does, on whatever it runs. */
export function describeCache(setUp: SetUp, hasRedis = setUp.hasRedis.before): void {
  describeValues(setUp);
  describeLoads(setUp);
  describeInvalidations(setUp);
  describeWatching(setUp);
  if (hasRedis) describeSharing(setUp);
}

/** The same, and once more after something has happened to its Redis. */
export function describeCacheThrough(setUp: SetUp, event: string): void {
  describe(`before ${event}`, () => describeCache(setUp));
  describe(`after ${event}`, () => {
    beforeAll(() => setUp.turn());
    describeCache(setUp, setUp.hasRedis.after);
  });
}
