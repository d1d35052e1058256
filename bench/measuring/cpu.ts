export interface Compared {
  readonly base: () => Promise<unknown>;
  readonly contender: () => Promise<unknown>;
  /** How many turns each has. */
  readonly turns: number;
}

/** Of each in a round: so many that what disturbs one of them hardly counts. */
export const TURNS = 8;

/** Long enough for thousands of calls, and short enough for base and contender to meet the same machine. */
const TURN_MS = 100;
/** How many call at the same time, each after its last answer. */
const CALLERS = 100;
/** Calls between two looks at the clock, which would else be measured too. */
const CALLS_BETWEEN = 32;

/** Of a turn, or of several. */
interface Load {
  readonly calls: number;
  /** Of this process, in microseconds. */
  readonly cpu: number;
}

/** What a call costs this process in CPU, as a share of what a call of the base does. The process must do nothing else meanwhile. */
export async function cpuRatio({ base, contender, turns }: Compared): Promise<number> {
  const used = { base: { calls: 0, cpu: 0 }, contender: { calls: 0, cpu: 0 } };
  for (let turn = 0; turn < turns; turn++) {
    // Who goes first changes, as the one leaves garbage for the other.
    if (turn % 2 === 0) used.base = sum(used.base, await load(base));
    used.contender = sum(used.contender, await load(contender));
    if (turn % 2 === 1) used.base = sum(used.base, await load(base));
  }
  return used.contender.cpu / used.contender.calls / (used.base.cpu / used.base.calls);
}

async function load(call: () => Promise<unknown>): Promise<Load> {
  let calls = 0;
  const before = process.cpuUsage();
  const end = performance.now() + TURN_MS;
  await Promise.all(
    Array.from({ length: CALLERS }, async () => {
      do {
        for (let at = 0; at < CALLS_BETWEEN; at++) await call();
        calls += CALLS_BETWEEN;
      } while (performance.now() < end);
    }),
  );
  const { user, system } = process.cpuUsage(before);
  return { calls, cpu: user + system };
}

function sum(one: Load, other: Load): Load {
  return { calls: one.calls + other.calls, cpu: one.cpu + other.cpu };
}
