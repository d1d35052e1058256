import type { Decision, Reservation } from "./limit.ts";

/** Tells what the call cost, by names of limits. */
type Settle = (costs: Readonly<Record<string, number>>) => Promise<void>;

/** Makes a decision something to settle, once. */
export function reservation(decision: Decision, names: readonly string[], settleAll: Settle): Reservation {
  let isSettled = !decision.allowed;
  const settle: Settle = async (costs) => {
    for (const [name, cost] of Object.entries(costs)) {
      if (!names.includes(name)) throw new TypeError(`There is no limit named "${name}" to settle.`);
      if (!(cost >= 0 && cost < Number.POSITIVE_INFINITY))
        throw new TypeError(`"${name}" cannot cost ${cost}.`);
    }
    if (isSettled) return;
    isSettled = true;
    await settleAll(costs);
  };
  const release = () => settle(Object.fromEntries(names.map((name) => [name, 0])));
  return { ...decision, settle, release, [Symbol.asyncDispose]: release };
}
