import { setTimeout as pause } from "node:timers/promises";
import { ModelError, openAnswers as openMythicAnswers, readText, Upstream, Upstreams } from "@mythic/llm";
import { openCaching } from "@mythic/runs/cache";
import { openStore } from "@mythic/runs/store";
import { waitForRedis } from "@mythic/shared/redis";
import { type AnswersSettings, API_KEY, type OpenContender, requestOf, TTL_SECONDS } from "./contender.ts";

const SECRET = "a secret of the bench that nobody has to guess";
const NAMESPACE = "bench";
const READY_MS = 5_000;
const USER = "reader";

const SILENT = { debug: () => undefined, info: () => undefined, warn: () => undefined };

/** What the endpoint takes. */
export interface Limits {
  readonly perPeriod: Upstream["limits"];
  readonly periodMs: number;
}

/** As API and worker open it. */
export async function openParts(
  { redisUrl, baseUrl, dataDir, tiers }: AnswersSettings,
  limits: Limits | null = null,
) {
  const ttlMs = TTL_SECONDS * 1_000;
  const store = await openStore({ dataDir });
  const caching = await openCaching({
    config: {
      isOn: true,
      redisUrl,
      namespace: NAMESPACE,
      timeoutMs: 200,
      logLevel: "debug",
      answersTtlMs: ttlMs,
    },
    store: { mongodbUrl: null, dataDir },
    log: SILENT,
    reads: tiers === "local and redis",
  });
  if (caching.redis !== null) await waitForRedis(caching.redis, READY_MS);
  await caching.cache?.ready(READY_MS);
  const upstream = new Upstream({
    name: "fake",
    baseUrl,
    apiKey: API_KEY,
    models: ["*"],
    ...(limits && { limits: limits.perPeriod }),
  });
  const open = openMythicAnswers({
    upstreams: new Upstreams([upstream]),
    ledger: store.ledger,
    secret: SECRET,
    redis: caching.redis,
    namespace: NAMESPACE,
    family: caching.cache?.families.answers ?? null,
    ttlMs,
    ...(limits && { limitPeriodMs: limits.periodMs }),
  });
  return { open, store, caching };
}

export const openAnswers: OpenContender = async (settings) => {
  const { open } = await openParts(settings);
  const { answers } = open;
  const policy = { mode: "reuse" } as const;
  const askingOf = (request: ReturnType<typeof requestOf>) => {
    const { signal } = new AbortController();
    const caller = { user: USER, scope: `user:${USER}` as const, signal, step: null, waits: true };
    return { caller, read: (answer: Parameters<typeof readText>[1]) => readText(request, answer) };
  };
  return {
    async complete(prompt) {
      const request = requestOf(prompt);
      return await patiently(async () => (await answers.complete(request, policy, askingOf(request))).text);
    },
    async *stream(prompt) {
      const request = { ...requestOf(prompt), stream: true };
      let text = "";
      for await (const event of answers.stream(request, policy, askingOf(request))) {
        if (event.type === "reset") text = "";
        const piece = event.type === "chunk" ? pieceOf(event.chunk) : "";
        text += piece;
        if (piece !== "") yield piece;
        // What is there already comes whole.
        else if (event.type === "done" && text === "") yield event.completed.text;
      }
    },
  };
};

/** As a client of the API does that is told when to come back. */
async function patiently<Value>(ask: () => Promise<Value>): Promise<Value> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof ModelError && error.postpones)) throw error;
      await pause(error.retryAfterMs ?? 0);
    }
  }
}

function pieceOf(chunk: unknown): string {
  const { choices = [] } = chunk as { readonly choices?: readonly { delta?: { content?: string | null } }[] };
  return choices[0]?.delta?.content ?? "";
}
