import { describeCacheThrough } from "./cache.suite.ts";
import { useSetUp } from "./set-up.ts";

const setUp = useSetUp({
  redis: "server",
  hasLocal: true,
  async turn(server) {
    await server.stop();
    await server.start();
  },
});

describeCacheThrough(setUp, "Redis restarts");
