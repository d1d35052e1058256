import { describeCache } from "./cache.suite.ts";
import { useSetUp } from "./set-up.ts";

describeCache(useSetUp({ redis: "untracked", hasLocal: true }));
