import { once } from "node:events";
import { parseArgs } from "node:util";
import { startFakeOpenAi } from "./fake-openai.ts";

/**
 * The fake as a process of its own: `node fake-openai-main.ts [--port 8080] [--latency 200]`. Prints its base URL on a line, and
 * ends on SIGTERM or SIGINT. `GET /fake/calls` tells how often it was asked.
 */
const { values } = parseArgs({ options: { port: { type: "string" }, latency: { type: "string" } } });

await using fake = await startFakeOpenAi({
  port: Number(values.port ?? 0),
  latencyMs: Number(values.latency ?? 0),
});
process.stdout.write(`${fake.baseUrl}\n`);
await Promise.race([once(process, "SIGTERM"), once(process, "SIGINT")]);
