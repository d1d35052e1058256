import type { Limit } from "./limit.ts";

/** What a call takes of a limit, as time: a unit is the time in which one drains. */
export interface Charge {
  readonly name: string;
  /** Of its state: in Redis, and in every map of this process. */
  readonly key: string;
  readonly limit: number;
  readonly periodMs: number;
  readonly cost: number;
  readonly unitMs: number;
  /** How much a burst may leave to drain. */
  readonly burstMs: number;
  readonly chargeMs: number;
  /** It is let through while no more than this is left to drain. */
  readonly slackMs: number;
  /** Units to take at once. 0: no more than the cost. */
  readonly chunk: number;
  readonly failsOpen: boolean;
}

/** Where limits live, and how many processes share them. */
export interface Sharing {
  readonly namespace: string;
  readonly instances: number;
}

const NAME = /^[\w.-]+$/;
/** Ten years. Redis takes times to live of so many milliseconds, and they are written without an exponent. */
export const LONGEST_MS = 315_360_000_000;

/**
 * Works out what a call takes of its limits.
 *
 * @throws TypeError when a limit is not one, or these cannot be checked in one call
 */
export function chargesOf(limits: readonly Limit[], sharing: Sharing): Charge[] {
  const [first] = limits;
  if (first === undefined) return [];
  const group = first.group ?? first.key;
  const prefix = `${sharing.namespace}:r:{${hashTag(group)}}:`;
  return limits.map((limit, index) => {
    const { name } = limit;
    if ((limit.group ?? limit.key) !== group) throw new TypeError(`"${name}" is of another group.`);
    for (let earlier = 0; earlier < index; earlier += 1) {
      if (limits[earlier]?.name === name) throw new TypeError(`Two limits are named "${name}".`);
    }
    return chargeOf(limit, prefix, sharing.instances);
  });
}

/** @throws TypeError when it is not a length of time that Redis can keep */
export function checkDuration(ms: number): void {
  if (!(ms > 0 && ms <= LONGEST_MS)) throw new TypeError(`${ms} ms are no duration.`);
}

/** The same charge for another cost. */
export function costing(charge: Charge, cost: number): Charge {
  return priced(charge, cost, charge.unitMs);
}

/** The same charge for one of several processes that hear nothing of each other: a unit takes as many times as long to drain. */
export function shareOf(charge: Charge, instances: number): Charge {
  return instances === 1 ? charge : priced(charge, charge.cost, charge.unitMs * instances);
}

function priced(charge: Charge, cost: number, unitMs: number): Charge {
  const chargeMs = cost * unitMs;
  return { ...charge, cost, unitMs, chargeMs, slackMs: Math.max(charge.burstMs - chargeMs, 0) };
}

/** The same charge where everything is let through. */
export function waived(charge: Charge): Charge {
  return { ...charge, chargeMs: 0, slackMs: Number.POSITIVE_INFINITY };
}

export function isWaived({ slackMs }: Charge): boolean {
  return slackMs === Number.POSITIVE_INFINITY;
}

function chargeOf(limit: Limit, prefix: string, instances: number): Charge {
  const { name, key, periodMs, burst = 1, cost = 1, chunk = 0 } = limit;
  const fault = faultOf(limit, { burst, cost, chunk });
  if (fault !== null) throw new TypeError(`The limit "${name}" has a wrong ${fault}.`);
  const unitMs = periodMs / limit.limit;
  const affordable = Math.min(chunk, affordableChunk(burst * limit.limit, instances));
  const chunkUnits = affordable > cost ? affordable : 0;
  const burstMs = burst * periodMs - chunkUnits * instances * unitMs;
  const chargeMs = cost * unitMs;
  return {
    name,
    key: limit.group === undefined || limit.group === key ? prefix + name : `${prefix}${name}:${key}`,
    limit: limit.limit,
    periodMs,
    cost,
    unitMs,
    burstMs,
    chargeMs,
    slackMs: Math.max(burstMs - chargeMs, 0),
    chunk: chunkUnits,
    failsOpen: limit.whenDown === "open",
  };
}

function faultOf(
  { name, key, group, limit, periodMs }: Limit,
  { burst, cost, chunk }: { readonly burst: number; readonly cost: number; readonly chunk: number },
): string | null {
  if (!NAME.test(name)) return "name";
  if (key === "" || group === "") return "key or group";
  if (!(limit > 0 && limit < Number.POSITIVE_INFINITY)) return "limit";
  if (!(periodMs > 0 && periodMs <= LONGEST_MS)) return "period";
  if (!(burst >= 0 && burst <= 1)) return "burst";
  if (!(cost >= 0 && cost < Number.POSITIVE_INFINITY)) return "cost";
  return chunk >= 0 && chunk < Number.POSITIVE_INFINITY ? null : "chunk";
}

/**
 * Units that a process may take at once. When a window begins, every process may hold so many, and one takes so many more: the burst has
 * to pay for all of these.
 */
function affordableChunk(burstUnits: number, instances: number): number {
  return Math.floor(burstUnits / (instances + 1));
}

/** A hash tag ends with the first closing brace, so there must be no other. */
function hashTag(group: string): string {
  const isPlain = !group.includes("}") && !group.includes("%");
  return isPlain ? group : group.replaceAll("%", "%25").replaceAll("}", "%7D");
}
