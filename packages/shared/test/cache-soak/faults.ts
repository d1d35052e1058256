import { setTimeout as pause } from "node:timers/promises";
import type { TestRedis } from "@mythic/testing/redis";
import type { Redis } from "ioredis";
import type { Random } from "./random.ts";
import { INVALIDATED, NAMESPACE } from "./values.ts";

export interface Victims {
  readonly server: TestRedis;
  /** A client of it that knows nothing of caches. */
  readonly stranger: Redis;
  /** Sends a signal to any one process. */
  signal(name: NodeJS.Signals): () => void;
  /** Kills any one process and starts another in its place. */
  replace(): Promise<void>;
}

type Fault = (victims: Victims, random: Random) => Promise<unknown>;

const FAULTS = {
  async "Redis freezes"({ server }, random) {
    await server.pause();
    await pause(random.between(50, 2_000));
    await server.resume();
  },
  async "Redis dies and comes back empty"({ server }, random) {
    await server.stop();
    await pause(random.between(0, 500));
    await server.start();
  },
  FLUSHALL: ({ stranger }) => stranger.flushall(),
  "Redis forgets its scripts": ({ stranger }) => stranger.script("FLUSH"),
  async "values are deleted by a stranger"({ stranger }, random) {
    const family = random.pick(INVALIDATED);
    await removeSome(stranger, `${NAMESPACE}:c:*:v:${family}.*`, random);
  },
  "tags are evicted": ({ stranger }, random) => removeSome(stranger, `${NAMESPACE}:c:*:t:*`, random),
  "leases are evicted": ({ stranger }, random) => removeSome(stranger, `${NAMESPACE}:c:*:l:*`, random),
  "tracking connections are cut": ({ stranger }, random) => cut(stranger, "mythic:tracking", random),
  "connections for commands are cut": ({ stranger }, random) => cut(stranger, "mythic:cache", random),
  "a process is killed": (victims) => victims.replace(),
  async "a process sleeps"(victims, random) {
    const wake = victims.signal("SIGSTOP");
    await pause(random.between(50, 2_500));
    wake();
  },
} satisfies Record<string, Fault>;

export type FaultName = keyof typeof FAULTS;

const WEIGHTS: Readonly<Record<FaultName, number>> = {
  "Redis freezes": 4,
  "Redis dies and comes back empty": 2,
  FLUSHALL: 2,
  "Redis forgets its scripts": 1,
  "values are deleted by a stranger": 3,
  "tags are evicted": 2,
  "leases are evicted": 2,
  "tracking connections are cut": 3,
  "connections for commands are cut": 2,
  "a process is killed": 2,
  "a process sleeps": 4,
};

/** Lets something go wrong, and ends when it is over. Tells what, when it begins. */
export async function strike(
  victims: Victims,
  random: Random,
  told: (what: FaultName) => void,
): Promise<void> {
  const name = random.choose(WEIGHTS);
  told(name);
  const fault: Fault = FAULTS[name];
  await fault(victims, random);
}

async function removeSome(stranger: Redis, pattern: string, random: Random): Promise<void> {
  const keys = await stranger.keys(pattern);
  const some = keys.filter(() => random.next() < 0.5);
  if (some.length > 0) await stranger.del(some);
}

/** Ends one connection of this name, or all. */
async function cut(stranger: Redis, name: string, random: Random): Promise<void> {
  const lines = String(await stranger.client("LIST")).split("\n");
  const ids = lines
    .filter((line) => line.includes(` name=${name} `))
    .map((line) => /^id=(\d+)/.exec(line)?.[1] ?? "");
  const chosen = random.next() < 0.5 ? ids : ids.slice(0, 1);
  for (const id of chosen) await stranger.client("KILL", "ID", id);
}
