import { setTimeout as pause } from "node:timers/promises";
import { startRedis } from "@mythic/testing/redis";
import { Redis } from "ioredis";
import { type Child, startChild } from "../cache-processes/child.ts";
import { sharedNow } from "../cache-processes/orders.ts";
import { type FaultName, strike, type Victims } from "./faults.ts";
import { History, type SoakEvent } from "./history.ts";
import { Random } from "./random.ts";
import type { SoakCounts, SoakOrders, SoakSettings } from "./soak-child.ts";
import { LIFE_MS } from "./values.ts";

export interface SoakOptions {
  readonly seed: number;
  readonly durationMs: number;
  /** Told of each fault. */
  readonly told: (what: string) => void;
}

export interface SoakOutcome {
  readonly reads: number;
  readonly changes: number;
  readonly faults: ReadonlyMap<FaultName, number>;
  /** Of the processes that were there at the end. */
  readonly counts: readonly SoakCounts[];
  /** How long after its change a value was served at most, and how long it may be. */
  readonly latestMs: number;
  readonly boundMs: number;
  /** Each with the history of the value. */
  readonly violations: readonly string[];
}

const PROCESSES = 4;
const HEARTBEAT_MS = 500;
const COMMAND_TIMEOUT_MS = 200;
/** For how long memory is trusted, and a command that was sent may take. */
const BOUND_MS = 2 * HEARTBEAT_MS + COMMAND_TIMEOUT_MS;
/** Quiet between two faults. Now and then so long that all is well. */
const LONGEST_QUIET_MS = 1_200;
/** What a process did is known to us after so long, even if it slept. */
const LAG_MS = 8_000;
/** Nothing takes longer, be the process asleep in the middle of it. */
const SLOWEST_MS = 10_000;

/** Has processes read and change values for so long, while everything goes wrong that can, and compares what they got with the model. */
export async function soak({ seed, durationMs, told }: SoakOptions): Promise<SoakOutcome> {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startRedis());
  const sourceServer = stack.use(await startRedis());
  const stranger = new Redis(server.url, { retryStrategy: () => 20, maxRetriesPerRequest: null });
  stranger.on("error", () => undefined);
  stack.defer(() => stranger.disconnect());
  const random = new Random(seed);
  const history = new History({ boundMs: BOUND_MS, lifeMs: LIFE_MS });
  const crew = stack.use(
    new Crew(history, {
      redisUrl: server.url,
      sourceUrl: sourceServer.url,
      heartbeatMs: HEARTBEAT_MS,
      commandTimeoutMs: COMMAND_TIMEOUT_MS,
      seed,
    }),
  );
  await crew.gather();
  const victims: Victims = {
    server,
    stranger,
    signal: (name) => crew.signal(random, name),
    replace: () => crew.replace(random),
  };
  const faults = new Map<FaultName, number>();
  const endsAt = sharedNow() + durationMs;
  while (sharedNow() < endsAt && history.violations.length === 0 && crew.trouble === null) {
    await pause(random.between(0, random.next() < 0.2 ? 2 * LONGEST_QUIET_MS : LONGEST_QUIET_MS / 2));
    await strike(victims, random, (what) => {
      faults.set(what, (faults.get(what) ?? 0) + 1);
      history.note(sharedNow(), what);
      told(what);
    });
    history.note(sharedNow(), "(over)");
    history.judge(sharedNow() - LAG_MS);
  }
  const counts = await crew.finish();
  history.judge(Number.POSITIVE_INFINITY);
  const slow = counts.filter(({ slowestMs }) => slowestMs > SLOWEST_MS);
  const { reads, changes, latestMs, violations } = history;
  return {
    reads,
    changes,
    faults,
    counts,
    latestMs,
    boundMs: BOUND_MS,
    violations: [
      ...violations,
      ...(crew.trouble === null ? [] : [crew.trouble]),
      ...slow.map(({ slowestMs }) => `A call took ${Math.round(slowestMs)} ms.`),
    ],
  };
}

/** The processes. Each has a name of its own, which its successor does not inherit. */
class Crew implements AsyncDisposable {
  readonly #history: History;
  readonly #settings: SoakSettings;
  readonly #members = new Map<string, Child<SoakOrders>>();
  #count = 0;
  /** Why a process ended that should not have. */
  trouble: string | null = null;

  constructor(history: History, settings: SoakSettings) {
    this.#history = history;
    this.#settings = settings;
  }

  async gather(): Promise<void> {
    await Promise.all(Array.from({ length: PROCESSES }, () => this.#join()));
  }

  /** Sends a signal to one of them; the function that is returned wakes it up. */
  signal(random: Random, name: NodeJS.Signals): () => void {
    const [who, member] = random.pick([...this.#members]);
    this.#history.note(sharedNow(), `${name} to ${who}`);
    member.signal(name);
    return () => member.signal("SIGCONT");
  }

  async replace(random: Random): Promise<void> {
    const [name, member] = random.pick([...this.#members]);
    this.#members.delete(name);
    await member[Symbol.asyncDispose]();
    this.#history.note(sharedNow(), `${name} is dead`);
    this.#history.died(name, sharedNow());
    await this.#join();
  }

  async finish(): Promise<readonly SoakCounts[]> {
    return await Promise.all([...this.#members.values()].map((member) => member.order("finish")));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#members.values()].map((member) => member[Symbol.asyncDispose]()));
  }

  async #join(): Promise<void> {
    this.#count += 1;
    const name = `process ${this.#count}`;
    const member = await startChild<SoakOrders>({
      program: new URL("soak-child.ts", import.meta.url),
      settings: { ...this.#settings, seed: this.#settings.seed + this.#count },
      told: (what) => {
        for (const event of what as readonly SoakEvent[]) this.#history.add(name, event);
      },
      ended: (why) => {
        this.trouble = why;
      },
    });
    this.#members.set(name, member);
  }
}
