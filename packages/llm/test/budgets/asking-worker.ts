import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { openGuardedRedis, waitForRedis } from "@mythic/shared/redis";
import { PATIENT_MS } from "@mythic/testing/redis";
import { openGate } from "../../src/budgets/gate.ts";
import { openEndpoint } from "../../src/upstream/endpoint.ts";

/**
 * A worker that asks as often as the gate lets it: `--loops` at once, until it is killed or `--seconds` have passed. `--hold` never ends
 * a call. Prints how often the gate was closed, by reason, when it ends.
 */
const { values } = parseArgs({
  options: {
    ...{ redis: { type: "string", default: "" }, upstream: { type: "string", default: "" } },
    ...{ namespace: { type: "string", default: "" }, loops: { type: "string", default: "1" } },
    ...{ seconds: { type: "string", default: "60" }, period: { type: "string", default: "60000" } },
    ...{ rpm: { type: "string" }, tpm: { type: "string" }, seed: { type: "string", default: "1" } },
    ...{ ceiling: { type: "string", default: "64" }, lease: { type: "string", default: "15000" } },
    maxCost: { type: "string" },
  },
});

const redis = openGuardedRedis(values.redis, { commandTimeoutMs: PATIENT_MS });
await waitForRedis(redis, 5_000);
const gate = openGate({
  redis,
  namespace: values.namespace,
  ledger: {
    spent: () => Promise.resolve({ cost: 0 }),
    spentOn: () => Promise.resolve({ calls: 0, tokens: 0, cost: 0, unpriced: 0 }),
  },
  ceiling: Number(values.ceiling),
  periodMs: Number(values.period),
  leaseMs: Number(values.lease),
});
const endpoint = openEndpoint({ apiKey: "key", baseUrl: values.upstream });
const limits = {
  requestsPerMinute: values.rpm === undefined ? null : Number(values.rpm),
  tokensPerMinute: values.tpm === undefined ? null : Number(values.tpm),
};
const maxCost = values.maxCost === undefined ? null : Number(values.maxCost);

let state = Number(values.seed);
/** From 0 to 1, the same for the same seed. */
function random(): number {
  state = (state * 16_807) % 2_147_483_647;
  return state / 2_147_483_647;
}

const closed: Record<string, number> = {};
const until = performance.now() + Number(values.seconds) * 1000;

async function askOnce(): Promise<void> {
  // Prompt and answer, in letters; a token has four. The answer is a third of what it may be.
  const prompt = "p".repeat(400 + Math.floor(random() * 3_600));
  const most = 1_500;
  const estimate = { tokens: Math.ceil(prompt.length / 4) * 1.5 + most, cost: maxCost === null ? null : 1 };
  const answer = await gate.enter({
    ...{ upstream: { name: "fake", limits }, model: "model", user: "ada", runId: "run1", estimate, maxCost },
  });
  if (answer.kind === "closed") {
    closed[answer.reason] = (closed[answer.reason] ?? 0) + 1;
    await pause(answer.retryAfterMs);
    return;
  }
  const messages = [{ role: "user", content: prompt }];
  const request = { model: "model", messages, max_completion_tokens: most };
  const result = await endpoint.complete(request, { signal: new AbortController().signal });
  answer.report(result);
  if (result.kind === "failed") await answer.release();
  else {
    const { usage } = result.completion;
    await answer.settle({ tokens: (usage?.inputTokens ?? 0) + (usage?.outputTokens ?? 0), cost: 1 });
  }
}

async function loop(): Promise<void> {
  while (performance.now() < until) await askOnce();
}

process.stdout.write("ready\n");
await Promise.all(Array.from({ length: Number(values.loops) }, loop));
process.stdout.write(`closed ${JSON.stringify(closed)}\n`);
await gate.close();
await redis.close();
