/**
 * How many calls to one model of one upstream may be on their way at once, all processes together. It follows what the endpoint says:
 * additive increase, multiplicative decrease, as of TCP (https://www.rfc-editor.org/rfc/rfc5681).
 *
 * | Number | Value | Why |
 * |---|---|---|
 * | `start` | 8 | nothing is known yet: little enough for an account of the smallest tier, and three rounds from 64 |
 * | growth before the first overload | doubles each round | slow start: the room is found in rounds, not in hundreds of calls |
 * | growth after it | +1 each round | gentle, as the edge is near |
 * | `cut` | ×0.5 | what was too much by an unknown amount is surely enough when halved; fair between processes of other owners |
 * | cuts per round | 1 | calls that left before the last cut tell of the world before it; else one burst of 429 would end at 1 |
 * | `floor` | 1 | one call on its way finds out when the endpoint has recovered |
 * | ceiling | of the operator | sockets, memory, and what the owner of a local model wants |
 * | `inUse` | ½ | a limit that nobody came near since the call was let in was not tried out, so it does not grow |
 * | `scarce` | 10 % | of requests or tokens left, by the endpoint's headers: no growth from there on, and no more doubling |
 * | nothing left | −1 each round | the mirror of growth: by the headers alone, before any 429 |
 * | room | what is left, less what left since | calls that the headers leave no room for wait until a unit has come back, one at a time |
 * | `latencyMs` | 1,000 | until calls have told; how far apart those come back who found no room |
 * | `weight` | ⅛ | of the newest call in the mean latency, as in TCP's round-trip time |
 * | `memory` | 1/16 | of the newest call in the mean share of an estimate that is really used: a chapter more or less is no news |
 */
export const APPETITE = {
  start: 8,
  cut: 0.5,
  floor: 1,
  inUse: 0.5,
  scarce: 0.1,
  latencyMs: 1_000,
  weight: 1 / 8,
  memory: 1 / 16,
} as const;

/** Where the appetite for a model stands. */
export interface Appetite {
  /** Calls at once; the whole part counts. */
  readonly limit: number;
  /** Not yet overloaded: it doubles each round. */
  readonly isDoubling: boolean;
  /** When it was last cut, in milliseconds. */
  readonly cutAt: number;
}

/** What a call that ended says about the next ones. */
export type CallEnd =
  | { readonly kind: "well"; readonly share: number | null; readonly wasInUse: boolean }
  | { readonly kind: "overloaded"; readonly enteredAt: number; readonly now: number }
  /** Nothing: it failed for reasons of its own. */
  | { readonly kind: "otherwise" };

/** The appetite after a call. `gate-scripts.ts` says the same in Lua. */
export function digest(appetite: Appetite, end: CallEnd, ceiling: number): Appetite {
  const within = (limit: number) => Math.min(Math.max(limit, APPETITE.floor), ceiling);
  const { limit, isDoubling, cutAt } = appetite;
  if (end.kind === "otherwise") return appetite;
  if (end.kind === "overloaded") {
    if (end.enteredAt <= cutAt) return { ...appetite, isDoubling: false };
    return { limit: within(limit * APPETITE.cut), isDoubling: false, cutAt: end.now };
  }
  const { share, wasInUse } = end;
  if (share !== null && share < APPETITE.scarce) {
    return { limit: share === 0 ? within(limit - 1 / limit) : limit, isDoubling: false, cutAt };
  }
  if (!wasInUse) return appetite;
  return { limit: within(limit + (isDoubling ? 1 : 1 / limit)), isDoubling, cutAt };
}
