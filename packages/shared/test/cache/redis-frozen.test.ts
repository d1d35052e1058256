import { describeCacheThrough } from "./cache.suite.ts";
import { useSetUp } from "./set-up.ts";

const setUp = useSetUp({
  redis: "server",
  hasLocal: true,
  turn: (server) => server.pause(),
  isUsableAfterTurn: false,
});

describeCacheThrough(setUp, "Redis freezes");
