import { setTimeout as pause } from "node:timers/promises";
import { startRedis } from "@mythic/testing/redis";
import { Redis } from "ioredis";
import type { Bench } from "../bench.ts";
import type { CallersOrders, Stampede, StampedeResult } from "../children/callers.ts";
import type { Child } from "../measuring/child.ts";
import { sharedNow } from "../measuring/clock.ts";
import { sendHop } from "../measuring/hop.ts";
import { median } from "../measuring/statistics.ts";
import { atMost, BARE_MINIMUM, defineRow, type Figure, MYTHIC } from "../row.ts";
import { number } from "../table.ts";

const PROCESSES = 4;
const CALLERS = 250;
const LOAD_MS = 250;
/** Who has not answered everyone by then is cut off. */
const GIVE_UP_MS = 10 * LOAD_MS;
/** For all processes to have read the order. */
const NOTICE_MS = 50;
/** Messages that a hop is the median of. All processes are idle before each, as callers are while they wait. */
const HOPS = 20;
const HOP_PAUSE_MS = 10;
/** So that what is measured has been compiled, as in a process that has been up for a while. */
const WARM_UPS = 20;
const SMOKE_WARM_UPS = 1;

export const row = defineRow({
  name: "stampede",
  measures:
    "How often a value is loaded when 4 processes with 250 callers each ask for it at the same moment, and how long they wait.",
  how: `A load takes ${LOAD_MS} ms. What passed in a process from its first call to its last answer, beyond the longest load, is counted in pub/sub hops of the same run, a hop being from one process to the last of those four. Fresh processes are warmed up by ${WARM_UPS} short loads. Who has not answered all after ${GIVE_UP_MS} ms is cut off. Bare minimum: GET, else load and SET.`,
  bars: {
    "loads that succeed": atMost(1),
    "waited beyond the load, in hops": atMost(20),
    "loads that fail": atMost(1),
  },
  async run(bench) {
    const succeeding = await measure(bench, false);
    const failing = await measure(bench, true);
    return {
      "loads that succeed": { figures: succeeding.loads },
      "waited beyond the load, in hops": { figures: succeeding.waits },
      "loads that fail": { figures: failing.loads },
    };
  },
});

const CONTENDERS = [
  MYTHIC,
  BARE_MINIMUM,
  "bentocache",
  "cachified",
  "cacheable",
  "cache-manager",
  "async-cache-dedupe",
  "layered-loader",
];

interface Round {
  readonly loads: number;
  readonly waitedMs: number;
  readonly waitedHops: number;
  readonly note: string | null;
}

async function measure(
  bench: Bench,
  fails: boolean,
): Promise<{ readonly loads: readonly Figure[]; readonly waits: readonly Figure[] }> {
  const waits: Figure[] = [];
  const loads = await bench.each(CONTENDERS, async (contender) => {
    const cache = contender === BARE_MINIMUM ? "naive" : contender;
    const rounds = await measureCache(bench, cache, fails);
    const waitedMs = median(rounds.map((round) => round.waitedMs));
    waits.push({
      contender,
      samples: rounds.map(({ waitedHops }) => waitedHops),
      note: `${number(waitedMs)} ms`,
    });
    const note = rounds.map((round) => round.note).find((text) => text !== null);
    return { samples: rounds.map((round) => round.loads), ...(note ? { note } : {}) };
  });
  return { loads, waits };
}

async function measureCache(bench: Bench, cache: string, fails: boolean): Promise<readonly Round[]> {
  await using redis = await startRedis();
  await using crew = new Crew(bench, cache, redis.url);
  return await bench.inRounds((round) => crew.stampede(`value-${round}`, fails));
}

/** Four processes, replaced by fresh ones when they were cut off in the middle of a round. */
class Crew implements AsyncDisposable {
  readonly #bench: Bench;
  readonly #settings: { readonly cache: string; readonly redisUrl: string };
  #stack = new AsyncDisposableStack();
  #members: readonly Child<CallersOrders>[] = [];
  #gathered = 0;
  readonly #publisher: Redis;

  constructor(bench: Bench, cache: string, redisUrl: string) {
    this.#bench = bench;
    this.#settings = { cache, redisUrl };
    this.#publisher = new Redis(redisUrl);
  }

  async stampede(key: string, fails: boolean): Promise<Round> {
    if (this.#members.length === 0) await this.#gather();
    const hopMs = await this.#measureHop();
    const results = await this.#send({ key, loadMs: LOAD_MS, fails });
    if (results.some(({ settledAt }) => settledAt === null)) await this.#dismiss();
    return summarise(results, { hopMs, fails });
  }

  /** How long a message takes from one process to the last of the four, in milliseconds. */
  async #measureHop(): Promise<number> {
    const listening = this.#members.map((member) => member.order("hops", { messages: HOPS }));
    for (let sent = 0; sent < HOPS; sent++) {
      await pause(HOP_PAUSE_MS);
      await sendHop(this.#publisher);
    }
    const hops = await Promise.all(listening);
    return median(Array.from({ length: HOPS }, (_, at) => Math.max(...hops.map((times) => times[at] ?? 0))));
  }

  async #send(order: Pick<Stampede, "key" | "loadMs" | "fails">): Promise<readonly StampedeResult[]> {
    const beginsAt = sharedNow() + NOTICE_MS;
    const stampede: Stampede = { ...order, callers: CALLERS, beginsAt, endsAt: beginsAt + GIVE_UP_MS };
    return await Promise.all(this.#members.map((member) => member.order("stampede", stampede)));
  }

  async #gather(): Promise<void> {
    this.#members = await Promise.all(
      Array.from({ length: PROCESSES }, async () =>
        this.#stack.use(await this.#bench.child<CallersOrders>("callers", this.#settings)),
      ),
    );
    const id = this.#gathered++;
    const warmUps = this.#bench.size(WARM_UPS, SMOKE_WARM_UPS);
    for (let at = 0; at < warmUps; at++)
      await this.#send({ key: `warm-${id}-${at}`, loadMs: 1, fails: false });
  }

  async #dismiss(): Promise<void> {
    this.#members = [];
    await this.#stack.disposeAsync();
    this.#stack = new AsyncDisposableStack();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#publisher.disconnect();
    await this.#dismiss();
  }
}

interface Circumstances {
  readonly hopMs: number;
  readonly fails: boolean;
}

function summarise(results: readonly StampedeResult[], { hopMs, fails }: Circumstances): Round {
  const sum = (count: (result: StampedeResult) => number) =>
    results.reduce((total, result) => total + count(result), 0);
  const waits = results.map(({ begunAt, settledAt }) => (settledAt ?? Number.POSITIVE_INFINITY) - begunAt);
  const loadMs = Math.max(...results.map(({ longestLoadMs }) => longestLoadMs));
  const wrong = PROCESSES * CALLERS - sum(({ values, errors }) => (fails ? errors : values));
  const unanswered = PROCESSES * CALLERS - sum(({ values, errors, others }) => values + errors + others);
  const waitedMs = Math.max(...waits) - loadMs;
  return {
    loads: sum(({ loads }) => loads),
    waitedMs,
    waitedHops: waitedMs / hopMs,
    note: unanswered > 0 ? `${unanswered} unanswered` : wrong > 0 ? `${wrong} wrong answers` : null,
  };
}
