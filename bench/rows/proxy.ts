import { join } from "node:path";
import { freePort } from "@mythic/testing/free-port";
import { startProcess } from "@mythic/testing/process";
import { startRedis } from "@mythic/testing/redis";
import type { BareProxyOrders, BareProxySettings } from "../children/bare-proxy.ts";
import { createKey, makeDataDir, RATE_LIMITS, startApi } from "../measuring/api.ts";
import { loadServer } from "../measuring/http-load.ts";
import { type Asked, askInTurns, TURN_MS, TURNS } from "../measuring/in-turns.ts";
import { KEEPS_CODE } from "../measuring/keeps-code.ts";
import { median } from "../measuring/statistics.ts";
import { atLeast, atMost, BARE_MINIMUM, defineRow, type Measured, MYTHIC } from "../row.ts";
import { number } from "../table.ts";

const PORTKEY = "portkey";
const MODEL = "gpt-5-mini";
const API_KEY = "sk-bench";
const LETTERS = 4_000;
/** Not more calls than a model is asked at once whose room nobody knows yet. */
const PASSED = { connections: 6 };
const HIT = { connections: 64 };
const SMOKE_TURNS = 1;
/** Until what answers has been compiled: threads that compile are at work for the first 15,000 calls that are passed on. */
const WARM_UP_MS = { passing: 30_000, hitting: 10_000, passingAgain: 10_000 };
const WARM_UP_S = Object.values(WARM_UP_MS).reduce((sum, ms) => sum + ms, 0) / 1_000;
const root = join(import.meta.dirname, "../..");

const CPU = "passed on: CPU of a call ÷ Portkey's";
const HITS = "hits a second ÷ Portkey's";

export const row = defineRow({
  name: "proxy",
  measures: "What it costs to stand between a client of OpenAI's API and a model.",
  how: `POST /v1/chat/completions with a prompt of 4 kB to a model that answers at once. Passed on: ${PASSED.connections} connections, processor time of the process in between as the system counts it. Hits: ${HIT.connections} connections. In ${TURNS} turns of ${TURN_MS} ms a round, after each has warmed up for ${WARM_UP_S} s; V8 gives back no memory meanwhile (${KEEPS_CODE}), as it throws away compiled code with it. Mythic knows the caller by a key, limits them in Redis, and keeps a ledger on disk; Portkey, as npm has it, does none of it. Its cache is not in that build: what stands in its place is a Map behind its own hook. Bare minimum: node:http, JSON.parse, the openai SDK, JSON.stringify, and a Map for hits.`,
  bars: { [CPU]: atMost(1), [HITS]: atLeast(1) },
  async run(bench) {
    await using stack = new AsyncDisposableStack();
    const redis = stack.use(await startRedis());
    const dataDir = stack.use(await makeDataDir());
    const fake = stack.use(
      await startProcess(join(root, "packages/testing/src/fake-openai-main.ts"), { ready: /^http/ }),
    );
    const baseUrl = fake.lines[0] ?? "";
    const environment = {
      MYTHIC_DATA_DIR: dataDir.path,
      REDIS_URL: redis.url,
      RATE_LIMITS,
      MYTHIC_MODEL: MODEL,
      OPENAI_API_KEY: API_KEY,
      OPENAI_BASE_URL: baseUrl,
      // Portkey logs no requests.
      LOG_LEVEL: "warn",
    };
    const startMythic = async (): Promise<Gateway> => {
      const key = await createKey(environment, "reader", "user");
      const api = stack.use(await startApi(environment, KEEPS_CODE));
      const headers = { authorization: `Bearer ${key}` };
      return { id: api.id, url: api.url, passing: headers, hitting: headers };
    };
    const startPortkey = async (): Promise<Gateway> => {
      const port = await freePort();
      const url = `http://127.0.0.1:${port}`;
      const started = await startProcess(join(root, "bench/children/portkey.ts"), {
        args: ["--headless", `--port=${port}`],
        nodeFlags: KEEPS_CODE,
        ready: { url },
      });
      stack.use(started);
      const target = { provider: "openai", api_key: API_KEY, custom_host: baseUrl };
      const configOf = (config: object) => ({ "x-portkey-config": JSON.stringify(config) });
      const hitting = configOf({ ...target, cache: { mode: "simple" } });
      return { id: started.id, url, passing: configOf(target), hitting };
    };
    const startBare = async (): Promise<Gateway> => {
      const settings: BareProxySettings = { apiKey: API_KEY, baseUrl };
      const child = stack.use(await bench.child<BareProxyOrders>("bare-proxy", settings, KEEPS_CODE));
      return { id: child.id, ...(await child.order("address", null)), passing: {}, hitting: {} };
    };
    const starts = new Map([
      [MYTHIC, startMythic],
      [BARE_MINIMUM, startBare],
      [PORTKEY, startPortkey],
    ]);
    const started: Record<string, Gateway> = {};
    const failed = await bench.each([...starts.keys()], async (contender) => {
      const gateway = await (starts.get(contender) ?? startMythic)();
      const forMs = (kind: keyof typeof WARM_UP_MS) => bench.size(WARM_UP_MS[kind], TURN_MS);
      await loadServer({ ...passing(gateway).load, forMs: forMs("passing") });
      await loadServer({ ...hitting(gateway).load, connections: 1, forMs: TURN_MS });
      await loadServer({ ...hitting(gateway).load, forMs: forMs("hitting") });
      await loadServer({ ...passing(gateway).load, forMs: forMs("passingAgain") });
      started[contender] = gateway;
      return { samples: [] };
    });
    const turns = bench.size(TURNS, SMOKE_TURNS);
    const passed = new Map<string, readonly number[]>();
    const hits = new Map<string, readonly number[]>();
    await bench.repeat(async () => {
      const used = await askInTurns(mapValues(started, passing), turns);
      for (const [name, { cpuUs }] of Object.entries(used))
        passed.set(name, [...(passed.get(name) ?? []), cpuUs]);
      const served = await askInTurns(mapValues(started, hitting), turns);
      for (const [name, { perSecond }] of Object.entries(served))
        hits.set(name, [...(hits.get(name) ?? []), perSecond]);
    });
    const broken = failed.filter(({ note }) => note !== undefined);
    return {
      [CPU]: compared(passed, "µs", broken),
      [HITS]: compared(hits, "/s", broken),
    };
  },
});

interface Gateway {
  readonly id: number;
  readonly url: string;
  /** Headers with which a call is passed on. */
  readonly passing: Readonly<Record<string, string>>;
  /** And with which it may be answered from the cache. */
  readonly hitting: Readonly<Record<string, string>>;
}

function passing({ id, url, passing: headers }: Gateway): Asked {
  const load = { ...PASSED, url: `${url}/v1/chat/completions`, headers, body: bodyWith({}), status: 200 };
  return { id, load };
}

function hitting({ id, url, hitting: headers }: Gateway): Asked {
  const body = bodyWith({ temperature: 0 });
  return { id, load: { ...HIT, url: `${url}/v1/chat/completions`, headers, body, status: 200 } };
}

function mapValues<From, To>(
  record: Readonly<Record<string, From>>,
  convert: (value: From) => To,
): Record<string, To> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, convert(value)]));
}

function bodyWith(parameters: object): string {
  const content = "The keeper saw the tide come in.\n".repeat(LETTERS / 33);
  return JSON.stringify({ model: MODEL, messages: [{ role: "user", content }], ...parameters });
}

/** Round by round. */
function compared(
  samples: ReadonlyMap<string, readonly number[]>,
  unit: string,
  broken: Measured["figures"],
): Measured {
  const base = samples.get(PORTKEY);
  if (base === undefined && broken.length === 0) return { figures: [], leftOut: "Portkey was not measured" };
  const figures = [...samples].map(([contender, own]) => ({
    contender,
    samples: own.map((sample, round) => sample / (base?.[round] ?? Number.NaN)),
    note: `${number(median(own))} ${unit}`,
  }));
  return { figures: [...figures, ...broken] };
}
