/**
 * A process that asks one request, as a step does or as a streamed caller of the endpoint, and says in lines what comes of it:
 * `read <texts of chunks, | for a reset>`, `answer <source> <text>` or `error <code>`.
 */
import { setTimeout as pause } from "node:timers/promises";
import { openCache } from "@mythic/shared/cache";
import { openGuardedRedis, waitForRedis } from "@mythic/shared/redis";
import { PATIENT_MS } from "@mythic/testing/redis";
import { waitFor } from "@mythic/testing/wait";
import { ModelError } from "../../src/model-error.ts";
import { openAnswers } from "../../src/open-answers.ts";
import { Upstream, Upstreams } from "../../src/upstream/upstreams.ts";
import { remoteLedger } from "./ledger-service.ts";
import { answersFamily, callerWith, HOUR_MS, requestFor, SECRET, stepCaller, textOfChunk } from "./shared.ts";

const { REDIS = "", BASE_URL = "", LEDGER = "", NAMESPACE = "", LEASE_MS, KIND, NAME = "" } = process.env;

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

const redis = REDIS === "" ? null : openGuardedRedis(REDIS, { commandTimeoutMs: PATIENT_MS });
if (redis !== null) await waitForRedis(redis, 10_000);
const cache = openCache({ namespace: NAMESPACE, families: { answers: answersFamily }, redis });
if (redis !== null) await waitFor(() => cache.health().status === "ok");
const upstream = new Upstream({ name: "fake", baseUrl: BASE_URL, apiKey: "key", models: ["*"] });
const { answers } = openAnswers({
  upstreams: new Upstreams([upstream]),
  ledger: remoteLedger(LEDGER),
  secret: SECRET,
  redis,
  namespace: NAMESPACE,
  family: cache.families.answers,
  ttlMs: HOUR_MS,
  leaseMs: Number(LEASE_MS),
});

const policy = { mode: "reuse" } as const;
const read = ({ text }: { readonly text: string }) => text;

/** As the queue does: comes back when it is told to, or sooner. */
async function askAsStep(): Promise<void> {
  let attempts = 0;
  for (;;) {
    const attempt = () => `run1.summary.${NAME}.f1.${++attempts}`;
    const { signal } = new AbortController();
    try {
      const caller = stepCaller({ attempt }, { signal });
      const { source, text } = await answers.complete(requestFor(), policy, { caller, read });
      say(`answer ${source} ${text}`);
      return;
    } catch (error) {
      if (!(error instanceof ModelError && error.postpones)) throw error;
      say(`waits ${error.code}`);
      if (error.sooner) await error.sooner(signal);
      else await pause(Math.min(error.retryAfterMs ?? 0, 50));
    }
  }
}

async function askStreamed(): Promise<void> {
  let text = "";
  const request = requestFor({ stream: true });
  for await (const event of answers.stream(request, policy, { caller: callerWith(), read })) {
    if (event.type === "done") return say(`answer ${event.completed.source} ${event.completed.text}`);
    text += event.type === "reset" ? "|" : textOfChunk(event.chunk);
    say(`read ${text}`);
  }
}

say("ready");
try {
  await (KIND === "step" ? askAsStep() : askStreamed());
} catch (error) {
  say(`error ${error instanceof ModelError ? error.code : String(error)}`);
}
// It lives on, as a server and a worker do.
setInterval(() => undefined, 60_000);
