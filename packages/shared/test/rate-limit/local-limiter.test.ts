import { openRateLimiter } from "@mythic/shared/rate-limit";
import { describeLimiter } from "./limiter.suite.ts";
import { freshNamespace } from "./set-up.ts";

describeLimiter("limits in this process", (clock) => ({
  clock,
  async open(onDecision) {
    const told = onDecision === undefined ? {} : { onDecision };
    return openRateLimiter({ namespace: freshNamespace(), redis: null, clock: clock.now, ...told });
  },
}));
