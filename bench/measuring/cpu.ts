export interface Compared {
  readonly base: () => Promise<unknown>;
  readonly contender: () => Promise<unknown>;
  /** Which goes first; to be changed from round to round. */
  readonly baseFirst: boolean;
}

interface LoopOptions {
  /** For how long, in milliseconds. */
  readonly forMs: number;
  /** How many call at the same time, each after its last answer. */
  readonly callers: number;
}

/** Long enough for thousands of calls, short enough for base and contender to meet the same machine. */
const LOOP: LoopOptions = { forMs: 250, callers: 100 };
/** Calls between two looks at the clock, which would else be measured too. */
const CALLS_BETWEEN = 32;

/** What a call costs this process in CPU, as a share of what a call of the base does, measured one right after the other. */
export async function cpuRatio({ base, contender, baseFirst }: Compared): Promise<number> {
  if (!baseFirst) {
    const cpu = await cpuOfCalls(contender, LOOP);
    return cpu / (await cpuOfCalls(base, LOOP));
  }
  const cpu = await cpuOfCalls(base, LOOP);
  return (await cpuOfCalls(contender, LOOP)) / cpu;
}

/** What one call costs this process, in microseconds of CPU. The process must do nothing else meanwhile. */
async function cpuOfCalls(call: () => Promise<unknown>, options: LoopOptions): Promise<number> {
  const { forMs, callers } = options;
  let calls = 0;
  const before = process.cpuUsage();
  const end = performance.now() + forMs;
  await Promise.all(
    Array.from({ length: callers }, async () => {
      do {
        for (let at = 0; at < CALLS_BETWEEN; at++) await call();
        calls += CALLS_BETWEEN;
      } while (performance.now() < end);
    }),
  );
  const { user, system } = process.cpuUsage(before);
  return (user + system) / calls;
}
