import { type LoadOptions, loadServer } from "./http-load.ts";
import { cpuMs } from "./process-cpu.ts";

/** A server that is asked for one thing over and over, and what for. */
export interface Asked {
  /** Of the server's process, which does nothing else. */
  readonly id: number;
  readonly load: Omit<LoadOptions, "forMs">;
}

/** What a request came to. */
export interface Used {
  /** Microseconds of processor time of the server's process, as the system counts it. */
  readonly cpuUs: number;
  readonly perSecond: number;
}

/** Each server's, in so many turns that whatever else the machine does meets all of them alike. */
export const TURNS = 8;
export const TURN_MS = 250;

/** Asks one server after the other, again and again. */
export async function askInTurns<Name extends string>(
  servers: Readonly<Record<Name, Asked>>,
  turns: number,
): Promise<Record<Name, Used>> {
  const names = Object.keys(servers) as Name[];
  const sums = new Map(names.map((name) => [name, { cpuMs: 0, requests: 0 }]));
  for (let turn = 0; turn < turns; turn++) {
    for (const [name, sum] of sums) {
      const { id, load } = servers[name];
      const before = cpuMs(id);
      sum.requests += await loadServer({ ...load, forMs: TURN_MS });
      sum.cpuMs += cpuMs(id) - before;
    }
  }
  const used = [...sums].map(([name, sum]): [Name, Used] => [
    name,
    {
      cpuUs: (sum.cpuMs * 1_000) / sum.requests,
      perSecond: (sum.requests * 1_000) / (turns * TURN_MS),
    },
  ]);
  return Object.fromEntries(used) as Record<Name, Used>;
}
